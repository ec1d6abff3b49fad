"""The blueprints."""

from flask import Flask

from ordertrack.views import admin, api, auth, reports, web


def register_blueprints(app: Flask) -> None:
    app.register_blueprint(web.bp)
    app.register_blueprint(auth.bp, url_prefix="/auth")
    app.register_blueprint(admin.bp, url_prefix="/admin")
    app.register_blueprint(api.bp, url_prefix="/api")
    app.register_blueprint(reports.bp, url_prefix="/api/reports")
