"""Error pages and the hooks around every request."""

import logging
import time
import uuid

from flask import Flask, g, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from ordertrack.errors import OrderTrackError, RateLimited, ValidationError
from ordertrack.security import load_current_user, wants_json

log = logging.getLogger("ordertrack.requests")


def start_request():
    g.started = time.perf_counter()
    g.request_id = request.headers.get("X-Request-ID") or uuid.uuid4().hex[:12]


def finish_request(response):
    elapsed = time.perf_counter() - g.get("started", time.perf_counter())
    response.headers["X-Request-ID"] = g.get("request_id", "-")
    response.headers["Server-Timing"] = f"app;dur={elapsed * 1000:.1f}"
    return response


def log_failure(error=None):
    if error is not None:
        log.error("request %s failed: %r", g.get("request_id", "-"), error)


def error_reply(status: int, code: str, message: str, **extra):
    if wants_json():
        reply = jsonify({"error": code, "message": message, **extra})
        reply.status_code = status
        return reply
    return render_template("error.html", status=status, message=message), status


def handle_domain_error(error: OrderTrackError):
    if isinstance(error, ValidationError):
        return error_reply(error.status, error.code, error.message, field=error.field)
    reply = error_reply(error.status, error.code, error.message)
    if isinstance(error, RateLimited) and wants_json():
        reply.headers["Retry-After"] = str(int(error.retry_after))
    return reply


def handle_http_error(error: HTTPException):
    code = error.name.lower().replace(" ", "_")
    return error_reply(error.code, code, error.description)


def register_handlers(app: Flask) -> None:
    app.before_request(start_request)
    app.before_request(load_current_user)
    app.after_request(finish_request)
    app.teardown_appcontext(log_failure)
    app.register_error_handler(OrderTrackError, handle_domain_error)
    app.register_error_handler(HTTPException, handle_http_error)

    @app.context_processor
    def template_globals():
        return {"current_user": g.get("user"), "shop_name": "Ordertrack"}

    @app.template_filter("money")
    def money(cents, currency="EUR"):
        return f"{cents / 100:,.2f} {currency}"
