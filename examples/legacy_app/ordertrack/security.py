"""Who is asking, and may they."""

import functools

from flask import flash, g, redirect, request, session, url_for

from ordertrack.database import get_session
from ordertrack.errors import OrderTrackError
from ordertrack.models import User
from ordertrack.repositories import UserRepository


class Unauthorized(OrderTrackError):
    status = 401
    code = "login_required"


class Forbidden(OrderTrackError):
    status = 403
    code = "forbidden"


def wants_json() -> bool:
    return request.path.startswith("/api/") or request.is_json


def load_current_user() -> None:
    """before_request: `g.user` is the user logged in, or None."""
    user_id = session.get("user_id")
    g.user = UserRepository(get_session()).get(user_id) if user_id is not None else None


def log_in(user: User) -> None:
    session.clear()
    session["user_id"] = user.id
    session["role"] = user.role


def log_out() -> None:
    session.clear()


def login_required(view):
    """Send strangers to the login page, or answer 401 on the API."""

    @functools.wraps(view)
    def wrapped(*args, **kwargs):
        if g.user is None:
            if wants_json():
                raise Unauthorized("log in first")
            flash("Please log in.", "info")
            return redirect(url_for("auth.login", next=request.path))
        return view(*args, **kwargs)

    return wrapped


def role_required(role: str):
    """Like login_required, and the user must have the role."""

    def decorate(view):
        @functools.wraps(view)
        def wrapped(*args, **kwargs):
            if g.user.role != role:
                raise Forbidden(f"needs the role {role}")
            return view(*args, **kwargs)

        return login_required(wrapped)

    return decorate
