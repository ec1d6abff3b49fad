"""Who calls the functions that nobody in the program calls: web frameworks, CLIs, test runners.

An *entry* is a function that an async-capable framework calls: it may become `async def` in place.
A *sync entry* is called by a library that would never await it: it stays sync for good, and what it
calls is reached through bridges.
"""

from __future__ import annotations

from bridgekit_codemods.planning.scripts import script_functions
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_WEB_ROOTS = ("flask.", "quart.", "bridgekit.integrations.flask.", "bridgekit.integrations.quart.")
# FastAPI and Starlette await what is async, and send the rest to worker threads.
_ASGI_ROOTS = ("fastapi.", "starlette.")
_ASGI_HOOKS = frozenset(
    {
        "get", "post", "put", "patch", "delete", "head", "options", "trace", "api_route", "route",
        "websocket", "websocket_route", "exception_handler", "on_event", "add_api_route",
        "add_route", "add_exception_handler",
    }
)  # fmt: skip
# What these are given is called by the framework too: dependencies, endpoints, background tasks.
_ASGI_TAKERS = frozenset(
    {
        "Depends", "Security", "Route", "WebSocketRoute", "APIRoute", "APIWebSocketRoute",
        "BackgroundTask", "add_task",
    }
)  # fmt: skip
_ASGI_APPLICATIONS = frozenset(
    {
        "fastapi.FastAPI", "fastapi.applications.FastAPI", "starlette.applications.Starlette",
    }
)  # fmt: skip
# Flask and Quart await (or bridge) what is registered through these.
_WEB_HOOKS = frozenset(
    {
        "route",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "before_request",
        "after_request",
        "teardown_request",
        "teardown_appcontext",
        "before_app_request",
        "after_app_request",
        "teardown_app_request",
        "errorhandler",
        "app_errorhandler",
        "register_error_handler",
        "add_url_rule",
        "endpoint",
        "before_serving",
        "after_serving",
        "while_serving",
    }
)
# These are called synchronously by Flask, so nothing registered through them may become async.
_SYNC_HOOKS = frozenset(
    {
        "context_processor",
        "app_context_processor",
        "template_filter",
        "app_template_filter",
        "template_global",
        "app_template_global",
        "template_test",
        "app_template_test",
        "url_value_preprocessor",
        "app_url_value_preprocessor",
        "url_defaults",
        "app_url_defaults",
        "shell_context_processor",
        "command",
        "cli",
        "record",
        "record_once",
        "add_template_filter",
        "add_template_global",
        "add_template_test",
    }
)
_SYNC_ROOTS = ("click.", "typer.", "celery.", "sqlalchemy.event", "atexit.", "signal.", "blinker.")


def _is_web(dotted: str, hooks: frozenset[str]) -> bool:
    return dotted.startswith(_WEB_ROOTS) and dotted.rsplit(".", 1)[-1] in hooks


def is_entry_registration(dotted: str | None) -> bool:
    """Says whether `dotted` registers a function that the framework may await."""
    return dotted is not None and (
        _is_web(dotted, _WEB_HOOKS)
        or (dotted.startswith(_ASGI_ROOTS) and dotted.rpartition(".")[2] in _ASGI_HOOKS)
    )


def is_asgi_taker(dotted: str | None) -> bool:
    """Says whether FastAPI or Starlette calls the function that `dotted` is given."""
    return (
        dotted is not None
        and dotted.startswith(_ASGI_ROOTS)
        and dotted.rpartition(".")[2] in _ASGI_TAKERS
    )


def makes_asgi_application(program: Program) -> bool:
    """Says whether the program is an application of FastAPI or Starlette, which await views that
    are `async def` and run the others in worker threads."""
    return any(
        not _ASGI_APPLICATIONS.isdisjoint(site.externals) and not program.files[site.path].is_test
        for site in program.calls
    )


def is_sync_registration(dotted: str | None) -> bool:
    """Says whether `dotted` hands a function to a library that calls it synchronously."""
    if dotted is None:
        return False
    return dotted.startswith(_SYNC_ROOTS) or _is_web(dotted, _SYNC_HOOKS)


def entries(program: Program) -> frozenset[Function]:
    """The functions that a web framework calls and may await."""
    found = {
        function
        for function in program.functions.values()
        if any(is_entry_registration(decorator.dotted) for decorator in function.decorators)
    }
    taken: set[Function] = set()
    for reference in program.references:
        if reference.kind == "argument" and is_entry_registration(reference.consumer):
            found.add(reference.function)
        elif reference.kind == "argument" and is_asgi_taker(reference.consumer):
            taken.add(reference.function)
    # what is used otherwise as well keeps its sync form beside the async one
    return frozenset(found | {function for function in taken if _only_taken(program, function)})


def _only_taken(program: Program, function: Function) -> bool:
    """Whether nothing but the framework uses the function, tests aside.

    Not a method: what it is called on may be given to others.
    """
    return (
        function.cls is None
        and function.parent is None
        and not program.callers_of(function)
        and all(
            is_asgi_taker(reference.consumer) or is_entry_registration(reference.consumer)
            for reference in program.references
            if reference.function is function and not program.files[reference.path].is_test
        )
    )


def sync_entries(program: Program) -> dict[Function, str]:
    """Functions that a library calls and will not await, with the name of that library's API."""
    found: dict[Function, str] = {}
    for function in program.functions.values():
        for decorator in function.decorators:
            if decorator.dotted is not None and is_sync_registration(decorator.dotted):
                found[function] = decorator.dotted
    for reference in program.references:
        if reference.consumer is not None and is_sync_registration(reference.consumer):
            found.setdefault(reference.function, reference.consumer)
    for function, command in script_functions(program).items():
        found.setdefault(function, f"the command {command}")
    for site in program.calls:
        if site.kind == "template":
            for target in site.targets:
                if target.grade != "guess":
                    found.setdefault(target.function, target.via)
    return found


# What Quart made awaitable and Flask has as plain calls. Functions that use these must be async by
# the time the framework changes.
FRAMEWORK_COROUTINES = frozenset(
    {
        "render_template",
        "render_template_string",
        "stream_template",
        "stream_template_string",
        "make_response",
        "send_file",
        "send_from_directory",
        "flash",
    }
)
REQUEST_COROUTINES = frozenset({"get_json", "get_data"})
REQUEST_AWAITABLES = frozenset({"form", "files", "data", "json", "values"})
_REQUEST_NAMES = (
    "flask.request",
    "flask.Request",
    "flask.wrappers.Request",
    "quart.request",
    "quart.Request",
    "quart.wrappers.Request",
)


def is_framework_coroutine(dotted: str) -> bool:
    """Says whether calling `dotted` needs an `await` once the program runs on Quart."""
    root, _, name = dotted.rpartition(".")
    if name in FRAMEWORK_COROUTINES:
        return root in ("flask", "quart", "flask.helpers", "flask.templating") or (
            name == "make_response" and root.startswith(_WEB_ROOTS)
        )
    return name in REQUEST_COROUTINES and root in _REQUEST_NAMES


def renders_in_flask(dotted: str | None) -> bool:
    """Says whether `dotted` is Flask's function that renders a template to its end.

    Such a call may go to a worker thread as it is: the thread sees the context of the request.
    """
    root, _, name = (dotted or "").rpartition(".")
    return name in ("render_template", "render_template_string") and root in (
        "flask",
        "flask.templating",
    )


def is_request_awaitable(dotted: str) -> bool:
    """Says whether reading the attribute `dotted` of a request needs an `await` on Quart."""
    root, _, name = dotted.rpartition(".")
    return name in REQUEST_AWAITABLES and root in _REQUEST_NAMES
