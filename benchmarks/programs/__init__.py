"""Open programs, migrated unattended with their own suites as the guard, and what came of it."""
