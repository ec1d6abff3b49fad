"""Logging in and out."""

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for

from ordertrack.database import get_session
from ordertrack.security import log_in, log_out
from ordertrack.services.accounts import AccountService

bp = Blueprint("auth", __name__)


def account_service() -> AccountService:
    return AccountService(get_session(), current_app.config["PASSWORD_METHOD"])


def safe_target(target):
    """Only paths of this site."""
    if target and target.startswith("/") and not target.startswith("//"):
        return target
    return url_for("web.dashboard")


@bp.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return render_template("login.html", email="")
    email = request.form.get("email", "")
    user = account_service().authenticate(email, request.form.get("password", ""))
    if user is None:
        flash("Wrong e-mail address or password.", "error")
        return render_template("login.html", email=email), 401
    log_in(user)
    flash(f"Hello {user.name}.", "info")
    return redirect(safe_target(request.args.get("next")))


@bp.post("/logout")
def logout():
    log_out()
    return redirect(url_for("auth.login"))
