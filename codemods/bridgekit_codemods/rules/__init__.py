"""The codemods, one a file, in the order in which the planner asks them."""

from __future__ import annotations

from bridgekit_codemods.rules.async_tests import AsyncTests
from bridgekit_codemods.rules.base import Rule
from bridgekit_codemods.rules.colourless_decorator import ColourlessDecorator
from bridgekit_codemods.rules.flask_bridge import FlaskBridge
from bridgekit_codemods.rules.flip import Flip
from bridgekit_codemods.rules.fold import FoldFacades
from bridgekit_codemods.rules.pure_views import PureViews
from bridgekit_codemods.rules.quart import FlaskToQuart
from bridgekit_codemods.rules.read_modify_write import ReadModifyWrite
from bridgekit_codemods.rules.requests_client import RequestsClient
from bridgekit_codemods.rules.sqlalchemy_eager import SqlalchemyEager
from bridgekit_codemods.rules.sqlalchemy_engine import SqlalchemyEngine
from bridgekit_codemods.rules.sqlalchemy_expire import SqlalchemyExpire
from bridgekit_codemods.rules.sqlalchemy_model_query import SqlalchemyModelQuery
from bridgekit_codemods.rules.sqlalchemy_query import SqlalchemyQuery

PREPARATION: tuple[Rule, ...] = (
    RequestsClient(),
    SqlalchemyEngine(),
    SqlalchemyExpire(),
    SqlalchemyEager(),
    SqlalchemyModelQuery(),
    SqlalchemyQuery(),
    FlaskBridge(),
    ColourlessDecorator(),
)
"""Refactorings that leave the program synchronous, each of which runs before anything flips."""

RULES: tuple[Rule, ...] = (
    *PREPARATION,
    Flip(),
    ReadModifyWrite(),
    FlaskToQuart(),
    PureViews(),
    AsyncTests(),
    FoldFacades(),
)
"""All rules: a rule is asked only when those before it have nothing left to do."""
