"""A pytest plugin that says, at the end, which modules of a run hold which side's names."""

import os
import sys
from types import ModuleType

import pytest

_WATCHED = {
    "asgiref": ("AsyncToSync", "Local", "SyncToAsync", "async_to_sync", "sync_to_async"),
    "anyio": ("BlockingPortal", "from_thread", "start_blocking_portal", "to_thread"),
}


def _home(value: object) -> str:
    if isinstance(value, ModuleType):
        return value.__name__
    return str(getattr(value, "__module__", "?"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    names = _WATCHED[os.environ["BRIDGEKIT_SUBSTITUTE"]]
    with open(os.environ["BRIDGEKIT_SUBSTITUTE_LOG"], "a", encoding="utf-8") as log:
        for module in list(sys.modules.values()):
            short = getattr(module, "__name__", "").rpartition(".")[2]
            if not short.startswith("test_"):
                continue
            homes = sorted({_home(vars(module)[name]) for name in names if name in vars(module)})
            if homes:
                log.write(f"witness {short}: {', '.join(homes)}\n")
