import os
import shutil
import subprocess
import sys

import pytest
import requests

from ordertrack import create_app
from ordertrack.clients.pricing import exchange_rate
from ordertrack.database import get_session

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PASSWORD_METHOD = "pbkdf2:sha256:1"


@pytest.fixture(scope="session")
def upstreams():
    """The stub of the three services, in a process of its own; gives its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "upstreams"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    yield f"http://127.0.0.1:{int(line.split()[-1])}"
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


class Control:
    """Tells the stub what to do, and asks what it saw."""

    def __init__(self, url):
        self.url = f"{url}/_control"

    def set(self, **settings):
        requests.post(self.url, json=settings, timeout=5).raise_for_status()

    def fault(self, service, **fault):
        self.set(faults={service: fault})

    def seen(self):
        return requests.get(self.url, timeout=5).json()


@pytest.fixture
def control(upstreams):
    control = Control(upstreams)
    control.set(reset=True)
    yield control
    control.set(reset=True)


@pytest.fixture(scope="session")
def seeded_file(tmp_path_factory):
    """A database file with the sample data, made once by the application's own commands."""
    folder = tmp_path_factory.mktemp("seeded")
    settings = {
        "DATABASE_URL": f"sqlite:///{folder}/seeded.db",
        "DATA_DIR": str(folder),
        "PASSWORD_METHOD": PASSWORD_METHOD,
    }
    runner = create_app(settings).test_cli_runner()
    assert runner.invoke(args=["init-db"]).exit_code == 0
    assert runner.invoke(args=["seed"]).exit_code == 0
    return folder / "seeded.db"


@pytest.fixture
def settings(upstreams, tmp_path, seeded_file):
    """Each test has its own copy of the sample database, and its own folders."""
    shutil.copyfile(seeded_file, tmp_path / "test.db")
    return {
        "TESTING": True,
        "SECRET_KEY": "test",
        "DATABASE_URL": f"sqlite:///{tmp_path}/test.db",
        "DATA_DIR": str(tmp_path / "data"),
        "PRICING_URL": f"{upstreams}/pricing",
        "CARRIERS_URL": f"{upstreams}/carriers",
        "SUMMARY_URL": f"{upstreams}/summary",
        "SUMMARY_PER_MINUTE": 0,
        "HTTP_TIMEOUT": 2.0,
        "PASSWORD_METHOD": PASSWORD_METHOD,
    }


@pytest.fixture
def app(settings):
    app = create_app(settings)
    yield app
    app.extensions["notifier"].wait()
    app.extensions["pricing"].close()
    app.extensions["carriers"].close()
    app.extensions["database"].dispose()
    exchange_rate.cache_clear()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def staff(client):
    """A test client, logged in as staff."""
    client.post("/auth/login", data={"email": "staff@example.org", "password": "staff-pass"})
    return client


@pytest.fixture
def admin(client):
    """A test client, logged in as administrator."""
    client.post("/auth/login", data={"email": "admin@example.org", "password": "admin-pass"})
    return client


@pytest.fixture
def session(app):
    """A database session in an application context."""
    with app.app_context():
        yield get_session()


@pytest.fixture
def runner(app):
    return app.test_cli_runner()
