"""Library objects that stand for what a function of the program gives."""

from __future__ import annotations

from typing import Any

import pytest

MODELS = """
from flask_login import UserMixin
class User(UserMixin):
    def slow(self): pass
    @property
    def score(self): return 1
    @classmethod
    def load(cls, key) -> "User | None": ...
class Other:
    def slow(self): pass
"""
LOADER = """
from flask_login import LoginManager
from models import User
login = LoginManager()
@login.user_loader
def load_user(key):
    return User.load(key)
"""
VIEW = """
from flask_login import current_user
def view():
    current_user.slow()
    current_user.score
    current_user.is_authenticated
    helper(current_user)
def helper(user):
    user.slow()
"""


def test_the_current_user_is_what_the_user_loader_gives(build: Any) -> None:
    loaded = build({"models.py": MODELS, "login.py": LOADER, "m.py": VIEW})
    assert loaded.targets("current_user.slow()") == {"models.User.slow": "method"}
    assert loaded.targets("current_user.score", "property") == {"models.User.score": "method"}
    assert loaded.targets("user.slow()") == {"models.User.slow": "method"}
    site = loaded.site("current_user.slow()")
    assert loaded.program.evidence(site, site.targets[0]) == "the receiver is models.User"


@pytest.mark.parametrize(
    "registration",
    [
        "login.user_loader(load_user)",
        "login.request_loader(load_user)",
        "def init(app):\n    login.init_app(app)\n    login.user_loader(load_user)",
    ],
)
def test_a_loader_registered_by_a_call(build: Any, registration: str) -> None:
    loader = LOADER.replace("@login.user_loader\n", "") + registration + "\n"
    loaded = build({"models.py": MODELS, "login.py": loader, "m.py": VIEW})
    assert loaded.targets("current_user.slow()") == {"models.User.slow": "method"}


def test_the_object_behind_the_proxy(build: Any) -> None:
    view = "from flask_login import current_user\ndef v():\n"
    view += "    user = current_user._get_current_object()\n    user.slow()\n"
    loaded = build({"models.py": MODELS, "login.py": LOADER, "m.py": view})
    assert loaded.targets("user.slow()") == {"models.User.slow": "method"}


def test_without_a_loader_nothing_is_known(build: Any) -> None:
    loaded = build({"models.py": MODELS, "m.py": VIEW})
    assert loaded.targets("current_user.slow()") == {}
    assert loaded.targets("user.slow()") == {}


def test_a_loader_of_unknown_result_gives_nothing_sure(build: Any) -> None:
    loader = LOADER.replace("User.load(key)", "elsewhere(key) or User.load(key)")
    loaded = build({"models.py": MODELS, "login.py": loader, "m.py": VIEW})
    assert loaded.targets("current_user.slow()") == {"models.User.slow": "guess"}


def test_a_loader_of_the_tests_does_not_speak_for_the_program(build: Any) -> None:
    double = LOADER.replace("User", "Other").replace("Other.load(key)", "Other()")
    files = {"models.py": MODELS, "login.py": LOADER, "m.py": VIEW, "tests/test_m.py": double}
    loaded = build(files)
    assert loaded.targets("current_user.slow()") == {"models.User.slow": "method"}
