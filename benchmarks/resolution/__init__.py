"""How well the static program model agrees with what programs' own tests really call."""
