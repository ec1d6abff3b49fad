"""Reading what clients send."""

from flask import request

from ordertrack.errors import ValidationError


def json_body() -> dict:
    data = request.get_json(silent=True)
    if not isinstance(data, dict):
        raise ValidationError("a JSON object is expected")
    return data


def required(data, name):
    value = data.get(name)
    if value is None or value == "":
        raise ValidationError(f"{name} is missing", name)
    return value


def int_arg(name, default):
    value = request.args.get(name)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError as error:
        raise ValidationError(f"{name} is not a number", name) from error


def form_lines():
    """Lines of the order form: parallel lists of `sku` and `quantity`."""
    skus = request.form.getlist("sku")
    quantities = request.form.getlist("quantity")
    lines = []
    for sku, quantity in zip(skus, quantities, strict=False):
        if sku and quantity.isdigit():
            lines.append({"sku": sku, "quantity": int(quantity)})
    return lines
