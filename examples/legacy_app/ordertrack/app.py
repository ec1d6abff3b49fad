"""The application factory."""

import os

from flask import Flask

from ordertrack.cli import register_commands
from ordertrack.clients import init_clients
from ordertrack.config import load_config
from ordertrack.database import init_database
from ordertrack.handlers import register_handlers
from ordertrack.services.notifications import Notifier
from ordertrack.views import register_blueprints


def create_app(config=None) -> Flask:
    """Make the application; `config` overrides what the environment says."""
    app = Flask(__name__)
    app.config.from_mapping(load_config())
    if config:
        app.config.update(config)
    os.makedirs(app.config["DATA_DIR"], exist_ok=True)
    init_database(app)
    init_clients(app)
    app.extensions["notifier"] = Notifier(app)
    register_handlers(app)
    register_blueprints(app)
    register_commands(app)
    return app
