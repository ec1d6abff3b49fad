"""What every code means, for the writers that explain it next to a finding.

docs/codes.md says the same; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DOCUMENTATION = "docs/codes.md"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a rule, or of a reason for which something stays as it is."""

    code: str
    name: str
    """A few words: the rule's name, or what the code is about."""
    text: str
    """One sentence; several reasons of one code are joined."""
    kind: Literal["rule", "reason"]


def explain(code: str) -> Code:
    """What a code means; codes that this table does not know are named after themselves."""
    reasons = [text for known, text in _REASONS if known == code]
    for known, name, text in _RULES:
        if known == code:
            return Code(code, name, _sentence("; ".join((text, *reasons))), "rule")
    if not reasons:
        return Code(code, code, code, "reason")
    return Code(code, _first_words(reasons[0]), _sentence("; ".join(reasons)), "reason")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _first_words(text: str) -> str:
    """A reason up to its first comma, colon or bracket."""
    for mark in (":", ",", " ("):
        text = text.partition(mark)[0]
    return text


_RULES: tuple[tuple[str, str, str], ...] = (
    (
        "BK201",
        "requests-to-httpx",
        "the whole program sends through `bridgekit.integrations.requests`: requests' behaviour"
        " on httpx or httpx2",
    ),
    (
        "BK211",
        "two-colour-engine",
        "the engine and its sessions get an async face, `session.aio`; one unit of work serves "
        "both colours",
    ),
    (
        "BK212",
        "no-expire-on-commit",
        "objects keep their values after a commit, because reading them again would wait",
    ),
    (
        "BK213",
        "eager-relationships",
        "relationships that are read lazily are loaded with their owner",
    ),
    (
        "BK214",
        "query-to-select",
        "`session.query(...)` becomes `select(...)` with the same results",
    ),
    (
        "BK221",
        "flask-on-portal",
        "async views of the Flask application run on the one loop of the process",
    ),
    (
        "BK231",
        "two-colour-decorator",
        "a decorator of the program wraps coroutine functions as well as plain ones",
    ),
    (
        "BK240",
        "flip",
        "functions that wait become `async def`, from the I/O upward; sync callers keep a facade",
    ),
    (
        "BK250",
        "flask-to-quart",
        "the application changes its framework, the tests that use its client change with it",
    ),
    (
        "BK246",
        "read-modify-write",
        "nothing: names the updates of shared values that an await divides",
    ),
    ("BK245", "pure-views", "on Quart, views and hooks that never wait become `async def` too"),
    ("BK260", "async-tests", "tests await what they called through facades"),
    (
        "BK270",
        "fold-facade",
        "a facade that nobody needs any more goes, the async function takes the name",
    ),
)
"""Code, name and what a step does."""

_REASONS: tuple[tuple[str, str], ...] = (
    (
        "BK211",
        "the project holds SQLAlchemy or Flask-SQLAlchemy below the release that engines of both "
        "colours need",
    ),
    ("BK211", "a subclass of Flask-SQLAlchemy's class makes engines or sessions itself"),
    (
        "BK211",
        "a listener of the engine's connection events tests for the class of the driver's "
        "connection (`isinstance(dbapi_connection, sqlite3.Connection)`); it is given another "
        "driver's, and what the test guards would be skipped",
    ),
    ("BK251", "a Flask extension is imported; it was written for the other framework"),
    ("BK252", "a name of Flask has no counterpart in Quart"),
    ("BK253", "a class overrides Flask's application"),
    (
        "BK254",
        "something that only a coroutine can do on Quart is called while a module is imported",
    ),
    ("BK255", "a sync function or a lambda uses something that only a coroutine can do on Quart"),
    ("BK256", "a test uses the test client in a shape that has no async form"),
    ("BK258", "a template calls something that blocks; Quart renders templates on the event loop"),
    ("BK259", "the application runs on Quart now: an ASGI server and `quart` start it"),
    ("BK301", "kept back: the guard was red, no test reaches it, or someone left it out"),
    (
        "BK302",
        "a library calls it and does not await (commands, those of `[project.scripts]` too, "
        "signal handlers, event listeners, templates)",
    ),
    ("BK303", "the language calls it (`__init__`, `__eq__`, ...) and does not await"),
    ("BK304", "a property cannot be awaited at its uses"),
    ("BK305", "a generator: its consumers would need `async for`"),
    ("BK306", "a nested function that is passed around as a value"),
    ("BK307", "it overrides a method of a library class, which calls it plainly"),
    ("BK308", "a decorator that may not accept a coroutine function"),
    ("BK309", "a context manager used with plain `with`"),
    ("BK310", "a view that other code also calls directly"),
    ("BK311", "the name that the async twin would get is taken"),
    ("BK320", "a call may reach blocking code, but the type of its receiver is not known"),
    ("BK321", "a call reaches functions of two colours"),
    ("BK322", "a lambda makes a call that blocks"),
    ("BK323", "a generator expression makes a call that blocks"),
    ("BK324", "a `with`, a `for`, an operator or an assignment that calls something that blocks"),
    ("BK325", "a thread lock is held over what would become an await"),
    ("BK326", "a file is used in a shape that has no async form"),
    ("BK327", "it calls a function that it was given as a value"),
    ("BK328", "a streamed response is used beyond its `with` block"),
    ("BK329", "a template that it renders calls something that blocks"),
    (
        "BK330",
        "the body has a shape that no rule converts, or the file means something else by a name "
        "that a rewrite would import",
    ),
    ("BK341", "the body of a class makes a call that blocks"),
    (
        "BK342",
        "a StopIteration leaves it that a caller catches; a coroutine cannot raise one",
    ),
    (
        "BK344",
        "something may call it at any moment, on the event loop's thread too (`__del__`, "
        "finalizers, signal handlers, log handlers)",
    ),
    (
        "BK345",
        "it hands a function that blocks to library code, and it is not known when that calls it",
    ),
    (
        "BK350",
        "it uses a `threading.local`, which all tasks of a loop would share; it runs on the thread "
        "of its request",
    ),
    (
        "BK351",
        "it runs an event loop of its own (`run_until_complete`, `asyncio.Runner`, "
        "`set_event_loop`)",
    ),
    (
        "BK353",
        "it uses an iterator that waits at each step (`Executor.map`, `os.walk`, ...) in a shape "
        "that has no async form",
    ),
    (
        "BK354",
        "a test cannot be async in its class: another library's `TestCase`, `setUpClass`, half of "
        "a family of `setUp`s",
    ),
    (
        "BK271",
        "a sync facade stays, because sync code (a command, a thread, a test) still calls it, or "
        "because `--goal` names it for callers elsewhere",
    ),
    (
        "BK257",
        "the program runs on Quart: an ASGI server serves it, and its commands run with `quart`",
    ),
    (
        "BK312",
        "a pattern of `keep` in the program's `pyproject.toml` says that it never changes colour",
    ),
    ("BK313", "it belongs to a family of overrides that costs less to bridge than to flip"),
    (
        "BK314",
        "`[tool.bridgekit]` in `pyproject.toml`: a pattern of `keep` matches no function, or a "
        "value has the wrong type. It is left out",
    ),
)
"""Code and reason; a code may have several."""
