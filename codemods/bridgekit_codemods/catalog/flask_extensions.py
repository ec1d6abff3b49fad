"""Extensions made for Flask: what becomes of each when a program wants to run on Quart.

An extension reads Flask's own context variables and calls Flask's synchronous methods, so none of
them runs on Quart as it is. That holds up the last step alone: everything before it, async views
on one event loop included, is done under Flask.

`quart-flask-patch` is never written into a program. It puts Quart's names into Flask's modules,
runs synchronous functions on the event loop itself, reads each request's whole body first, and
leaves no second, real Flask in the process: views that are not async yet would block the loop.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlaskExtension:
    """`reason` says what ties it to Flask, `remedy` what takes its place under Quart."""

    title: str
    reason: str
    remedy: str


_CONTEXT = "it works in Flask's request and application contexts"
_DECORATOR = "its decorators call a view through Flask's ensure_sync, which Quart lacks"
_RESPONSE = "it changes Flask's responses by synchronous methods that are coroutines in Quart"
_COMMANDS = "its commands are run by Flask's command line"

_EXTENSIONS: dict[str, FlaskExtension] = {
    "flask_sqlalchemy": FlaskExtension(
        "Flask-SQLAlchemy", "its session belongs to Flask's application context",
        "make the engine with create_engine and the sessions with sessionmaker"),
    "flask_migrate": FlaskExtension(
        "Flask-Migrate", _COMMANDS, "call Alembic itself (alembic upgrade head)"),
    "flask_login": FlaskExtension("Flask-Login", _DECORATOR, "Quart-Auth"),
    "flask_httpauth": FlaskExtension(
        "Flask-HTTPAuth", _DECORATOR, "a before_request hook that reads request.authorization"),
    "flask_wtf": FlaskExtension(
        "Flask-WTF", "its forms read request.form, which is awaited in Quart", "Quart-WTF"),
    "flask_mail": FlaskExtension("Flask-Mail", _CONTEXT, "aiosmtplib"),
    "flask_babel": FlaskExtension("Flask-Babel", _CONTEXT, "Quart-Babel"),
    "flask_moment": FlaskExtension(
        "Flask-Moment", "it registers a context processor of Flask's",
        "a context processor with its class `moment`"),
    "flask_caching": FlaskExtension(
        "Flask-Caching", "its decorators store what a view returns, a coroutine when it is async",
        "aiocache"),
    "flask_session": FlaskExtension(
        "Flask-Session", "a session interface with synchronous methods", "Quart-Session"),
    "flask_cors": FlaskExtension("Flask-CORS", _RESPONSE, "Quart-CORS"),
    "flask_compress": FlaskExtension("Flask-Compress", _RESPONSE, "the server or proxy"),
    "flask_talisman": FlaskExtension("Flask-Talisman", _RESPONSE, "an after_request hook"),
    "flask_limiter": FlaskExtension("Flask-Limiter", _DECORATOR, "Quart-Rate-Limiter"),
    "flask_jwt_extended": FlaskExtension("Flask-JWT-Extended", _DECORATOR, "Quart-JWT-Extended"),
    "flask_restful": FlaskExtension(
        "Flask-RESTful", "it overrides methods of the application that are coroutines in Quart",
        "Quart-Schema"),
    "flask_restx": FlaskExtension(
        "Flask-RESTX", "it overrides methods of the application that are coroutines in Quart",
        "Quart-Schema"),
    "flask_smorest": FlaskExtension("flask-smorest", _DECORATOR, "Quart-Schema"),
    "flask_marshmallow": FlaskExtension("Flask-Marshmallow", _CONTEXT, "marshmallow itself"),
    "flask_bcrypt": FlaskExtension("Flask-Bcrypt", _CONTEXT, "bcrypt itself, in a worker thread"),
    "flask_admin": FlaskExtension(
        "Flask-Admin", "its views are synchronous and render Flask's templates",
        "keep it in a Flask application beside this one"),
    "flask_debugtoolbar": FlaskExtension("Flask-DebugToolbar", _RESPONSE, "leave it out"),
    "flask_socketio": FlaskExtension(
        "Flask-SocketIO", "it serves the application by WSGI", "python-socketio's ASGIApp"),
    "flask_sock": FlaskExtension(
        "flask-sock", "it serves web sockets by WSGI", "Quart's own websocket routes"),
    "flask_pymongo": FlaskExtension("Flask-PyMongo", _CONTEXT, "PyMongo's AsyncMongoClient"),
    "flask_redis": FlaskExtension("Flask-Redis", _CONTEXT, "redis.asyncio"),
    "flask_security": FlaskExtension("Flask-Security", _DECORATOR, "Quart-Auth"),
    "flask_principal": FlaskExtension("Flask-Principal", _CONTEXT, "Quart-Auth"),
    "flask_dance": FlaskExtension("Flask-Dance", _CONTEXT, "Authlib's async client"),
    "flask_script": FlaskExtension("Flask-Script", _COMMANDS, "commands of click"),
    "flasgger": FlaskExtension("flasgger", _CONTEXT, "Quart-Schema"),
}  # fmt: skip
_INTEGRATIONS = "bridgekit.integrations."


def flask_extension(module: str) -> FlaskExtension | None:
    """The extension that an import of `module` brings in, also through bridgekit's form of it.

    None for what is none. One that is not in the table is known by its name, `flask_...`.
    """
    root = module.removeprefix(_INTEGRATIONS).partition(".")[0]
    known = _EXTENSIONS.get(root)
    if known is not None or not root.startswith("flask_"):
        return known
    return FlaskExtension(
        root, "it was written for the other framework", "look for its counterpart"
    )


def flask_extensions() -> dict[str, FlaskExtension]:
    """The table: importable name to extension."""
    return dict(_EXTENSIONS)
