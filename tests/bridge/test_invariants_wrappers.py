"""Invariant 13: a wrapped function looks and binds as the plain one, whatever its signature."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgekit import async_to_sync, sync_to_async

KINDS = inspect._ParameterKind


@st.composite
def functions(draw: st.DrawFn) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A synchronous function and its asynchronous twin that return what they were given."""
    kinds = sorted(
        draw(
            st.lists(
                st.sampled_from(
                    [
                        KINDS.POSITIONAL_ONLY,
                        KINDS.POSITIONAL_OR_KEYWORD,
                        KINDS.VAR_POSITIONAL,
                        KINDS.KEYWORD_ONLY,
                        KINDS.VAR_KEYWORD,
                    ]
                ),
                max_size=5,
            )
        )
    )
    parameters: list[inspect.Parameter] = []
    optional = False
    for number, kind in enumerate(kinds):
        single = kind in (KINDS.VAR_POSITIONAL, KINDS.VAR_KEYWORD)
        if single and any(parameter.kind == kind for parameter in parameters):
            continue
        optional = (optional and kind != KINDS.KEYWORD_ONLY) or draw(st.booleans())
        default = number if optional and not single else inspect.Parameter.empty
        parameters.append(inspect.Parameter(f"p{number}", kind, default=default, annotation=int))
    head = str(inspect.Signature(parameters)).replace(": int", "")
    names = ", ".join(parameter.name for parameter in parameters)
    space: dict[str, Any] = {}
    exec(
        f"def plain{head}: return [{names}]\nasync def native{head}: return [{names}]",
        {"__name__": __name__},
        space,
    )
    for function in space.values():
        function.__annotations__ = {parameter.name: int for parameter in parameters}
        function.__doc__ = "Documented."
    return space["plain"], space["native"]


@settings(deadline=None, max_examples=100)
@given(
    pair=functions(),
    args=st.lists(st.integers(), max_size=4),
    kwargs=st.dictionaries(
        st.sampled_from(["p0", "p1", "p2", "p3", "self", "func"]), st.integers()
    ),
)
def test_invariant_13_signature_marks_and_binding(
    pair: tuple[Callable[..., Any], Callable[..., Any]], args: list[int], kwargs: dict[str, int]
) -> None:
    plain, native = pair
    to_async, to_sync = sync_to_async(plain), async_to_sync(native)
    for wrapper, original in ((to_async, plain), (to_sync, native)):
        assert inspect.signature(wrapper) == inspect.signature(original)
        assert inspect.unwrap(wrapper) is original
        assert (wrapper.__name__, wrapper.__doc__) == (original.__name__, original.__doc__)
        assert wrapper.__annotations__ == original.__annotations__
    assert inspect.iscoroutinefunction(to_async)
    assert not inspect.iscoroutinefunction(to_sync)
    try:
        expected = plain(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError):
            asyncio.run(to_async(*args, **kwargs))
        with pytest.raises(TypeError):
            to_sync(*args, **kwargs)
    else:
        assert asyncio.run(to_async(*args, **kwargs)) == expected
        assert to_sync(*args, **kwargs) == expected
