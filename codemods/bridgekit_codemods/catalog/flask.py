"""Flask, Quart, Werkzeug, click and the Flask extensions that matter for resolution."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library, each, members

_VERBS = "get post put patch delete head options trace open"
_FILES = "dict[str, werkzeug.datastructures.FileStorage]"
_VIEW_HOOKS = ("dispatch_request", "get", "post", "put", "patch", "delete", "head", "options")


def _framework(root: str, app: str, *, is_async: bool) -> Library:
    client, response = f"{root}.testing.{app}Client", "werkzeug.test.TestResponse"
    if is_async:
        client, response = "quart.testing.QuartClient", "quart.Response"
    application = f"{root}.{app}"
    answer = f"coroutine[{response}]" if is_async else response
    opened = "coroutine[anyio.AsyncFile]" if is_async else "io.BufferedIOBase"
    context = "AsyncContextManager" if is_async else "ContextManager"
    enter = "__aenter__" if is_async else "__enter__"
    return Library(
        aliases={
            f"{root}.app.{app}": application,
            f"{root}.blueprints.Blueprint": f"{root}.Blueprint",
            f"{root}.globals": root,
            f"{root}.wrappers": root,
            f"{root}.helpers": root,
            f"{root}.json.jsonify": f"{root}.jsonify",
            f"{root}.templating": root,
        },
        returns={
            application: application,
            f"{application}.test_client": client,
            f"{application}.test_cli_runner": f"{root}.testing.{app}CliRunner",
            f"{application}.app_context": f"contextlib.{context}[{root}.ctx.AppContext]",
            f"{application}.test_request_context": f"contextlib.{context}"
            f"[{root}.ctx.RequestContext]",
            f"{application}.test_app": f"contextlib.AsyncContextManager[{application}]",
            f"{root}.testing.{app}CliRunner.invoke": "click.testing.Result",
            f"{client}.{enter}": client,
            **each(client, _VERBS, answer),
            f"{client}.session_transaction": f"contextlib.{context}[{root}.sessions.SecureCookie"
            "Session]",
            **each(root, "jsonify make_response redirect send_file send_from_directory",
                   f"{root}.Response"),
            f"{root}.url_for": "str",
            **each(application, "open_resource open_instance_resource", opened),
            f"{root}.Blueprint.open_resource": opened,
            f"{root}.render_template": "coroutine[str]" if is_async else "str",
            f"{root}.render_template_string": "coroutine[str]" if is_async else "str",
            f"{root}.get_flashed_messages": "list[Unknown]",
            f"{response}.get_json": "coroutine[Unknown]" if is_async else "Unknown",
            f"{response}.get_data": "coroutine[bytes]" if is_async else "bytes",
        },
        attributes={
            f"{application}.logger": "logging.Logger",
            f"{application}.config": f"{root}.Config",
            f"{application}.cli": "click.Group",
            f"{root}.request.files": f"coroutine[{_FILES}]" if is_async else _FILES,
            f"{root}.Request.files": f"coroutine[{_FILES}]" if is_async else _FILES,
        },
        objects={
            f"{root}.current_app": application,
            f"{root}.request": f"{root}.Request",
            f"{root}.session": f"{root}.sessions.SecureCookieSession",
            f"{root}.g": f"{root}.ctx._AppCtxGlobals",
        },
        blocks={} if is_async else {
            "file": (
                f"{application}.open_resource",
                f"{application}.open_instance_resource",
                f"{root}.Blueprint.open_resource",
            )
        },
        hooks={
            f"{root}.views.View": _VIEW_HOOKS[:1],
            f"{root}.views.MethodView": _VIEW_HOOKS,
            application: (
                *["dispatch_request", "full_dispatch_request", "handle_exception", "wsgi_app"],
                *["make_response", "preprocess_request", "process_response", "test_client"],
                *["create_url_adapter", "handle_user_exception", "handle_http_exception"],
                *["open_session", "save_session", "test_cli_runner"],
            ),
            client: tuple(_VERBS.split()),
            f"{root}.json.provider.DefaultJSONProvider": ("default", "dumps", "loads"),
        },
    )  # fmt: skip


FLASK = _framework("flask", "Flask", is_async=False)
QUART = _framework("quart", "Quart", is_async=True)
BRIDGED = Library(
    bases={
        "bridgekit.integrations.flask.Flask": ("flask.Flask",),
        "bridgekit.integrations.quart.Quart": ("quart.Quart",),
    },
    hooks={
        "bridgekit.integrations.flask.Flask": (),
        "bridgekit.integrations.quart.Quart": (),
    },
)
CLICK = Library(
    aliases={"click.core": "click", "click.decorators": "click"},
    returns={
        **each("click", "echo secho", "None"),
        "click.testing.CliRunner.invoke": "click.testing.Result",
    },
    attributes={"click.testing.Result.output": "str", "click.testing.Result.exit_code": "int"},
    blocks={"input": members("click", "prompt confirm getchar pause edit")},
    hooks={
        "click.Command": ("invoke", "main", "parse_args", "format_help"),
        "click.Group": ("get_command", "list_commands", "invoke"),
        "click.ParamType": ("convert",),
    },
)
EXTENSIONS = Library(
    returns={
        "flask_sqlalchemy.SQLAlchemy": "flask_sqlalchemy.SQLAlchemy",
        "werkzeug.security.generate_password_hash": "str",
        "werkzeug.security.check_password_hash": "bool",
        "werkzeug.utils.secure_filename": "str",
    },
    hooks={
        "flask_wtf.FlaskForm": ("validate", "populate_obj", "process"),
        "wtforms.Form": ("validate", "populate_obj", "process"),
        "marshmallow.Schema": ("dump", "load", "validate", "handle_error", "get_attribute"),
        "flask_login.UserMixin": (
            "get_id", "is_authenticated", "is_active", "is_anonymous", "__eq__",
        ),
        "flask_admin.BaseView": ("is_accessible", "inaccessible_callback"),
    },
)  # fmt: skip
