"""Flask-Login for an application of ``bridgekit.integrations.flask`` with asynchronous views.

``current_user`` loads the user when it is first looked at, by a synchronous ``user_loader``; so
does every ``render_template``, for its context. On the loop's thread that could not wait for a
database. With this ``LoginManager`` the user of a request is loaded before its first asynchronous
view or hook begins, on the thread of the request, where synchronous views load it too.

What differs: the user is loaded, and the session read, also for an asynchronous view that does not
ask for it.
"""

from __future__ import annotations

from typing import Any

import flask_login  # type: ignore[import-untyped]
from flask import has_request_context

__all__ = ["LoginManager"]


class LoginManager(flask_login.LoginManager):  # type: ignore[misc]
    """``flask_login.LoginManager`` that has the user ready before asynchronous code begins."""

    def init_app(self, app: Any, add_context_processor: bool = True) -> None:
        super().init_app(app, add_context_processor)
        prepared = getattr(app, "before_coroutines", None)
        if prepared is not None and _load_user not in prepared:
            prepared.append(_load_user)


def _load_user() -> None:
    if has_request_context():
        flask_login.current_user._get_current_object()
