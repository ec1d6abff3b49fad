"""Runs a tree of calls through the bridges and checks meanwhile what must hold at any time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import uvloop
from tests.bridge.trees import (
    VARIABLES,
    Call,
    Deadline,
    Expire,
    Failure,
    Gather,
    Misuse,
    Node,
    Path,
    Pulse,
    Raise,
    Scoped,
    Set,
    Step,
    Yield,
)

from bridgekit import (
    CapacityLimiter,
    LoopThreadError,
    ThreadSensitiveContext,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    sync_to_async,
    to_thread,
)

__all__ = ["ROOTS", "SECONDS", "SYNC_ROOTS", "Baggage", "Run", "Violation", "variables"]

SECONDS = 15
ROOTS = ["loop", "uvloop", "sync", "thread", "portal", "new portal"]
SYNC_ROOTS = ("sync", "thread")

_vars = [contextvars.ContextVar[int](f"tree_{number}") for number in range(VARIABLES)]


class Planned(Exception):
    pass


class PlannedBase(BaseException):
    pass


class Violation(BaseException):
    """An invariant did not hold; no node of a tree catches it."""


class Baggage:
    """An argument and context value that must not outlive the run."""


_baggage = contextvars.ContextVar[Baggage]("baggage")


def variables() -> list[int | None]:
    return [variable.get(None) for variable in _vars]


def current_task_name() -> str:
    # The task itself, kept in a frame, would make a cycle with the traceback of its exception.
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


class _Where:
    """What a call knows about its surroundings."""

    __slots__ = ("holds", "host", "label", "worker")

    def __init__(self, label: object, host: object, worker: bool, holds: bool) -> None:
        self.label = label  # of the thread that context-affine calls share here
        self.host = host  # name of the task that re-entered coroutines run in, if known
        self.worker = worker  # this is a thread that a task awaits
        self.holds = holds  # a limited call is on this thread's stack

    def with_(self, **changes: Any) -> _Where:
        values = {name: getattr(self, name) for name in self.__slots__}
        return _Where(**(values | changes))


class Run:
    """One run of one tree.

    :param cancel_at: numbers of steps at which the root task is cancelled (roots on a loop only).
    """

    def __init__(self, tokens: int, root: str, cancel_at: tuple[int, ...] = ()) -> None:
        self.limiter = CapacityLimiter(tokens)
        self.root_kind = root
        self.bound = True  # contexts outlive the calls made in them: nothing is abandoned
        self.raised: dict[Path, BaseException] = {}
        self.threads: dict[object, set[int]] = {}
        self.chain_threads: set[int] = set()
        self.quiet = threading.Condition()
        self.open = 0
        self.limited_running = 0
        self.steps_taken = 0
        self.cancel_at = set(cancel_at)
        self.cancels_accepted = 0
        self.task: asyncio.Task[Any] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    # -- what must hold ------------------------------------------------------------------------

    def check(self, condition: bool, message: str) -> None:
        if not condition:
            raise Violation(message)

    def enter(self, counted: bool) -> None:
        with self.quiet:
            self.open += 1
            if counted:
                self.limited_running += 1
                self.check_limiter()

    def leave(self, counted: bool) -> None:
        with self.quiet:
            self.open -= 1
            self.limited_running -= counted
            self.quiet.notify_all()

    def check_limiter(self) -> None:
        total = self.limiter.total_tokens
        self.check(self.limited_running <= total, "limiter: more calls run than there are tokens")
        self.check(self.limiter.borrowed_tokens <= total, "limiter: more tokens out than it has")

    def park(self, counted: bool) -> None:
        with self.quiet:
            self.limited_running -= counted

    def unpark(self, counted: bool) -> None:
        with self.quiet:
            self.limited_running += counted
            if counted:
                self.check_limiter()

    def note_thread(self, node: Node, where: _Where) -> None:
        self.check(asyncio._get_running_loop() is None, "loop: synchronous code runs on its thread")
        ident = threading.get_ident()
        with self.quiet:
            if node.affinity == "context":
                self.threads.setdefault(where.label, set()).add(ident)
                one = len(self.threads[where.label]) == 1
                self.check(one or not self.bound, "affinity: two threads, one chain")
            elif node.affinity == "main" and self.root_kind == "sync":
                self.check(threading.current_thread() is threading.main_thread(), "affinity: main")
            else:
                self.chain_threads.add(ident)

    def wait_until_quiet(self) -> bool:
        """Wait for abandoned calls."""
        with self.quiet:
            if not self.quiet.wait_for(lambda: self.open == 0, SECONDS):
                return False
        deadline = time.monotonic() + SECONDS
        while self.limiter.borrowed_tokens and time.monotonic() < deadline:
            time.sleep(0.0005)
        return self.limiter.borrowed_tokens == 0

    def pool_threads(self, caller: int) -> int:
        bound = {caller}.union(*self.threads.values())
        return len(self.chain_threads - bound)

    def step(self) -> None:
        with self.quiet:
            self.steps_taken += 1
            strike = self.steps_taken in self.cancel_at
        if strike and self.loop is not None:
            self.loop.call_soon_threadsafe(self.cancel)

    def cancel(self) -> None:
        assert self.task is not None
        self.cancels_accepted += self.task.cancel()

    # -- the interpreter over the bridge -------------------------------------------------------

    def sync(self, node: Node, path: Path, where: _Where, bag: Baggage) -> list[Any]:
        counted = node.limited and where.worker and not where.holds
        here = where.with_(holds=where.holds or counted)
        self.enter(counted)
        try:
            self.check(_baggage.get(None) is bag, "context: a value did not cross")
            seen: list[Any] = [variables()]
            try:
                self.sync_steps(node.steps, path, here, bag, seen)
            except (Planned, StopIteration, RuntimeError, TimeoutError) as error:
                if not node.catches or isinstance(error, LoopThreadError):
                    raise
                seen.append(self.describe(error, None).args)
            seen.append(variables())
            return seen
        finally:
            self.leave(counted)

    def sync_steps(
        self, steps: tuple[Step, ...], path: Path, where: _Where, bag: Baggage, seen: list[Any]
    ) -> None:
        for number, step in enumerate(steps):
            here = (*path, number)
            self.step()
            if isinstance(step, Set):
                self.set(step)
            elif isinstance(step, Scoped):
                token = self.set(step)
                try:
                    self.sync_steps(step.body, here, where, bag, seen)
                finally:
                    _vars[step.variable].reset(token)
            elif isinstance(step, Deadline):
                self.sync_steps(step.body, here, where, bag, seen)
            elif isinstance(step, Call):
                seen.append(self.from_sync(step.child, here, where, bag))
            elif isinstance(step, Gather):
                for position, child in enumerate(step.children):
                    seen.append(self.from_sync(child, (*here, position), where, bag))
            elif isinstance(step, Raise):
                self.fail(step, here)
            elif isinstance(step, Expire):
                self.wait_for(async_to_sync(self.expire), where, step, here)
            elif isinstance(step, Pulse):
                self.pulse()
            elif isinstance(step, Yield):
                time.sleep(0)

    def from_sync(self, node: Node, path: Path, where: _Where, bag: Baggage) -> list[Any]:
        if not node.is_async:
            return self.sync(node, path, where, bag)
        route: Callable[..., list[Any]] = async_to_sync(self.native)
        inside = where
        if node.route == "from_thread" and where.worker:

            def route(*args: Any) -> list[Any]:
                return from_thread.run(self.native, *args)

        elif node.route == "portal":
            inside = where.with_(host=None)

            def route(*args: Any) -> list[Any]:
                return default_portal().call(self.native, *args)

        return self.wait_for(route, where, node, path, inside, bag)

    def wait_for(self, call: Callable[..., Any], where: _Where, *args: Any) -> Any:
        """Call into a loop; this thread does not run meanwhile."""
        self.park(where.holds)
        try:
            return call(*args)
        finally:
            self.unpark(where.holds)

    async def native(self, node: Node, path: Path, where: _Where, bag: Baggage) -> list[Any]:
        task = current_task_name()
        self.check(where.host in (None, task), "host task: re-entered code runs in another task")
        where = where.with_(host=task)
        if not node.own_context:
            return await self.inside(node, path, where, bag)
        async with ThreadSensitiveContext():
            return await self.inside(node, path, where.with_(label=object()), bag)

    async def inside(self, node: Node, path: Path, where: _Where, bag: Baggage) -> list[Any]:
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        self.enter(False)
        try:
            self.check(_baggage.get(None) is bag, "context: a value did not cross")
            seen: list[Any] = [variables()]
            try:
                await self.async_steps(node.steps, path, where, bag, seen)
            except (Planned, RuntimeError, TimeoutError) as error:
                if not node.catches or isinstance(error, LoopThreadError):
                    raise
                seen.append(self.describe(error, None).args)
            seen.append(variables())
            return seen
        finally:
            self.leave(False)

    async def async_steps(
        self, steps: tuple[Step, ...], path: Path, where: _Where, bag: Baggage, seen: list[Any]
    ) -> None:
        for number, step in enumerate(steps):
            here = (*path, number)
            self.step()
            if isinstance(step, Set):
                self.set(step)
            elif isinstance(step, Scoped):
                token = self.set(step)
                try:
                    await self.async_steps(step.body, here, where, bag, seen)
                finally:
                    _vars[step.variable].reset(token)
            elif isinstance(step, Deadline):
                async with asyncio.timeout(SECONDS * 10):
                    await self.async_steps(step.body, here, where, bag, seen)
            elif isinstance(step, Call):
                seen.append(await self.from_async(step.child, here, where, bag))
            elif isinstance(step, Gather):
                outside = where.with_(host=None)
                outcomes = await asyncio.gather(
                    *(
                        self.from_async(child, (*here, position), outside, bag)
                        for position, child in enumerate(step.children)
                    ),
                    return_exceptions=True,
                )
                try:
                    for outcome in outcomes:
                        if isinstance(outcome, BaseException):
                            raise outcome
                    seen += outcomes
                finally:
                    del outcomes, outcome  # the traceback refers to this frame
            elif isinstance(step, Raise):
                self.fail(step, here)
            elif isinstance(step, Expire):
                await self.expire(step, here)
            elif isinstance(step, Misuse):
                self.misuse()
            elif isinstance(step, Yield):
                for _ in range(step.turns):
                    await asyncio.sleep(0)

    async def from_async(self, node: Node, path: Path, where: _Where, bag: Baggage) -> list[Any]:
        if node.is_async:
            return await self.native(node, path, where, bag)
        affinity: Any = node.affinity
        if affinity == "main" and self.root_kind != "sync":
            affinity = "chain"
        limiter = self.limiter if node.limited else None
        inside = where.with_(host=current_task_name(), worker=True, holds=False)
        args = (node, path, inside, bag)
        if node.route == "plain":
            return await to_thread.run_sync(
                self.bridged,
                *args,
                affinity=affinity,
                limiter=limiter,
                abandon_on_cancel=node.abandon,
            )
        call = sync_to_async(
            self.bridged, affinity=affinity, limiter=limiter, abandon_on_cancel=node.abandon
        )
        return await call(*args)

    def bridged(self, node: Node, path: Path, where: _Where, bag: Baggage) -> list[Any]:
        self.note_thread(node, where)
        return self.sync(node, path, where, bag)

    # -- single steps --------------------------------------------------------------------------

    def set(self, step: Set | Scoped) -> contextvars.Token[int]:
        variable = _vars[step.variable]
        return variable.set(variable.get(0) + step.value)

    def fail(self, step: Raise, path: Path) -> None:
        kinds = {"planned": Planned, "base": PlannedBase, "stop": StopIteration}
        error: BaseException = kinds[step.kind](path)
        self.raised[path] = error
        try:
            raise error
        finally:
            del error  # the traceback refers to this frame

    async def expire(self, step: Expire, path: Path) -> None:
        try:
            async with asyncio.timeout(0):
                if step.what == "wait":
                    await asyncio.Event().wait()
                elif step.what == "poll":
                    await to_thread.run_sync(self.poll)
                elif step.what == "ask":
                    await to_thread.run_sync(async_to_sync(asyncio.Event().wait))
                else:
                    # Long enough for the task to sleep: before that, no timeout can strike.
                    await to_thread.run_sync(time.sleep, 0.002)
        except TimeoutError:
            struck = True  # asyncio's own error makes a cycle with the task
        else:
            struck = False
        # A call that has ended before its task would have slept is an await like any that need not.
        self.check(struck or step.what == "brief", "timeout: an expired one did not strike")
        raise TimeoutError(path)

    def poll(self) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            from_thread.check_cancelled()
            time.sleep(0.0005)
        raise Violation("cancel: the thread was never told")

    def pulse(self) -> None:
        if self.loop is not None:
            beat = threading.Event()
            self.loop.call_soon_threadsafe(beat.set)
            self.check(beat.wait(SECONDS), "loop: it stood still while a thread worked")

    def misuse(self) -> None:
        for call in (
            async_to_sync(self.never_called),
            lambda: from_thread.run(self.never_called),
            lambda: default_portal().call(self.never_called),
        ):
            try:
                call()
            except LoopThreadError:
                continue
            raise Violation("misuse: waiting on the loop's thread was not refused")

    async def never_called(self) -> None:
        raise Violation("misuse: the coroutine was run")

    # -- the root ------------------------------------------------------------------------------

    def describe(self, error: BaseException, expected: Failure | None) -> Failure:
        """The model's name for an exception; it must be the very object that was raised."""
        if isinstance(error, TimeoutError):
            return Failure("timeout", error.args[0])
        kind = "planned"
        if isinstance(error, PlannedBase):
            kind = "base"
        elif isinstance(error, StopIteration):
            kind = "stop"
        elif isinstance(error, RuntimeError):
            kind = "runtime from stop"
            cause = error.__cause__
            if not isinstance(cause, StopIteration):
                raise error
            error = cause
        elif not isinstance(error, Planned):
            raise error
        path = error.args[0]
        self.check(self.raised[path] is error, "exception: another object than was raised")
        return Failure(kind, path)

    async def on_loop(self, node: Node, bag: Baggage) -> list[Any]:
        self.loop = asyncio.get_running_loop()
        where = _Where("process", current_task_name(), False, False)
        result = await self.from_async(node, (), where, bag)
        task = asyncio.current_task()
        assert task is not None
        self.check(task.cancelling() == 0, "cancel: the count was changed")
        return result

    def from_caller(self, node: Node, bag: Baggage) -> list[Any]:
        """From this plain thread, which is then the one of context-affine calls."""
        caller = object()
        self.threads[caller] = {threading.get_ident()}
        where = _Where(caller, None, False, False)
        if self.root_kind == "portal":
            return default_portal().call(self.from_async, node, (), where, bag)
        if self.root_kind == "new portal":
            with start_blocking_portal() as portal:
                return portal.call(self.from_async, node, (), where, bag)
        return self.from_sync(node, (), where, bag)

    def outcome(self, node: Node, bag: Baggage) -> tuple[Any, list[int | None]]:
        """What the tree returned or raised, and the caller's context variables after it."""
        _baggage.set(bag)
        if self.root_kind == "thread":
            box: list[Any] = []
            context = contextvars.copy_context()
            thread = threading.Thread(
                target=lambda: box.append(context.run(self.caught, self.from_caller, node, bag))
            )
            thread.start()
            thread.join()
            return box[0], context.run(variables)
        if self.root_kind in ("loop", "uvloop"):
            factory = uvloop.new_event_loop if self.root_kind == "uvloop" else None
            with asyncio.Runner(loop_factory=factory) as runner:
                return runner.run(self.main(node, bag))
        return self.caught(self.from_caller, node, bag), variables()

    async def main(self, node: Node, bag: Baggage) -> tuple[Any, list[int | None]]:
        try:
            async with asyncio.timeout(SECONDS * 2):
                result: Any = await self.on_loop(node, bag)
        except (Planned, PlannedBase, RuntimeError, StopIteration, TimeoutError) as error:
            result = self.describe(error, None)
        return result, variables()

    def caught(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except (Planned, PlannedBase, RuntimeError, StopIteration, TimeoutError) as error:
            return self.describe(error, None)

    async def cancelled(self, node: Node, bag: Baggage, turns: list[int]) -> None:
        """Run the tree in a task, cancel it after some turns too, and wait for its end."""
        _baggage.set(bag)
        task = self.task = asyncio.create_task(self.on_loop(node, bag))
        for count in turns:
            for _ in range(count):
                await asyncio.sleep(0)
            self.cancel()
        async with asyncio.timeout(SECONDS):
            await asyncio.wait([task])
