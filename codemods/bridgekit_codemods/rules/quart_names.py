"""Where Flask's names live in Quart."""

from __future__ import annotations

SHIM = "bridgekit.integrations.quart"

# Names whose place or spelling differs. Everything else keeps its name: `flask.x` -> `quart.x`.
_MOVED: dict[tuple[str, str], tuple[str, str]] = {
    ("flask", "Flask"): (SHIM, "Quart"),
    ("flask.app", "Flask"): (SHIM, "Quart"),
    ("bridgekit.integrations.flask", "Flask"): (SHIM, "Quart"),
    ("flask", "stream_with_context"): (SHIM, "stream_with_context"),
    ("flask.cli", "with_appcontext"): (SHIM, "with_appcontext"),
    ("flask.testing", "FlaskClient"): ("quart.testing", "QuartClient"),
    ("flask.testing", "FlaskCliRunner"): ("quart.testing", "QuartCliRunner"),
}

# Names of `flask` that Quart has under the same name.
_SAME = frozenset(
    {
        "Blueprint",
        "Config",
        "Request",
        "Response",
        "abort",
        "after_this_request",
        "copy_current_request_context",
        "current_app",
        "flash",
        "g",
        "get_flashed_messages",
        "get_template_attribute",
        "has_app_context",
        "has_request_context",
        "jsonify",
        "make_response",
        "redirect",
        "render_template",
        "render_template_string",
        "request",
        "send_file",
        "send_from_directory",
        "session",
        "stream_template",
        "stream_template_string",
        "url_for",
        "json",
        "cli",
        "views",
        "signals",
        "wrappers",
    }
)
_SAME_IN = {
    "flask.views": frozenset({"View", "MethodView"}),
    "flask.wrappers": frozenset({"Request", "Response"}),
    "flask.json": frozenset({"dumps", "loads", "dump", "load", "jsonify"}),
    "flask.blueprints": frozenset({"Blueprint"}),
    "flask.config": frozenset({"Config"}),
    "flask.ctx": frozenset(
        {
            "after_this_request",
            "has_app_context",
            "has_request_context",
            "copy_current_request_context",
        }
    ),
    "flask.globals": frozenset({"current_app", "g", "request", "session"}),
    "flask.helpers": frozenset(
        {
            "flash",
            "url_for",
            "make_response",
            "send_file",
            "send_from_directory",
            "redirect",
            "abort",
            "get_flashed_messages",
        }
    ),
    "flask.templating": frozenset({"render_template", "render_template_string"}),
    "flask.typing": frozenset({"ResponseReturnValue", "ResponseValue", "HeadersValue"}),
}


def is_flask(module: str) -> bool:
    """Says whether the module is Flask's own or the bridge to it."""
    return module.split(".")[0] == "flask" or module == "bridgekit.integrations.flask"


def moved_name(module: str, name: str) -> tuple[str, str] | None:
    """The place of `from module import name` under Quart; None if Quart has no such thing."""
    if (module, name) in _MOVED:
        return _MOVED[module, name]
    if module == "flask" and name in _SAME:
        return ("quart", name)
    if name in _SAME_IN.get(module, ()):
        return ("quart" + module.removeprefix("flask"), name)
    return None
