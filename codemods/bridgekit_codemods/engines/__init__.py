"""Type checkers run over the program, and the record of what they answered: which functions the
calls reach. They refine the program's own resolution and are never required."""

from bridgekit_codemods.engines.answers import ENGINE_FILE, Answer, Answers
from bridgekit_codemods.engines.run import (
    ENGINES,
    EngineError,
    EngineRun,
    MissingEngineError,
    ask,
    find,
    forget,
    record,
)

__all__ = [
    "ENGINES",
    "ENGINE_FILE",
    "Answer",
    "Answers",
    "EngineError",
    "EngineRun",
    "MissingEngineError",
    "ask",
    "find",
    "forget",
    "record",
]
