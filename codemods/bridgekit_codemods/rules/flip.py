"""BK240 flip: functions that wait become `async def`, from the I/O upward to the views.

A step flips one module's functions whose callees have all been flipped before. A function that sync
code may still call becomes an async twin `f_async` behind a sync facade `f`; a view, which only the
framework calls, becomes async in place.

Safety: guarded. The colours and their edges are proved by the program model; what is not proved is
not flipped and is reported with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from bridgekit_codemods.planning.bridges import TWIN_SUFFIX, sent_by
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.frameworks import makes_asgi_application
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.order import Group, groups
from bridgekit_codemods.planning.selection import Selection
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft, Granularity, Options, Safety
from bridgekit_codemods.rules.body import BodyRewriter, Unconvertible
from bridgekit_codemods.rules.decorator_shapes import can_be_two_coloured
from bridgekit_codemods.rules.definitions import flip_in_place, flip_to_twin, rename_cache_uses
from bridgekit_codemods.rules.face_mocks import give_mocks_faces
from bridgekit_codemods.rules.flask_bridge import own_applications
from bridgekit_codemods.rules.names import import_twins
from bridgekit_codemods.rules.patches import retarget_patches

_PREFIX = "flip:"
_SERVING = frozenset(
    {
        "bridgekit.integrations.flask.Flask",
        "bridgekit.integrations.quart.Quart",
        "quart.Quart",
    }
)


class Flip:
    """Flips the next layer of functions."""

    name = "flip"
    code = "BK240"
    safety: Safety = "guarded"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """The lowest functions of one module that can change colour now."""
        refused: dict[str, Finding] = {}
        while True:
            walk = Walk(program, kept, refused, options)
            try:
                return walk.next_step()
            except Unconvertible as problem:
                refused[problem.function.qualname] = problem.finding

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """Why functions that block, on the way of a view, stay sync."""
        refused: dict[str, Finding] = {}
        while True:
            walk = Walk(program, kept, refused, options)
            try:
                walk.try_step()
            except Unconvertible as problem:
                refused[problem.function.qualname] = problem.finding
                continue
            return walk.findings()


def held_back(program: Program, kept: Iterable[str]) -> frozenset[str]:
    """The names of the functions that turned the guard red by themselves, or with their family."""
    found: set[str] = set()
    for key in kept:
        if not key.startswith(_PREFIX):
            continue
        names = key.removeprefix(_PREFIX).split(",")
        first = program.functions.get(names[0])
        family = program.family(first) if first is not None and len(names) > 1 else ()
        if len(names) == 1 or set(names) <= {relative.qualname for relative in family}:
            found.update(names)
    return frozenset(found)


class Walk:
    """One look at the program: what is wanted, what is ready, what the next step is.

    `obstacles` and `application` say what stands in the way, and whether views may be async; they
    are those of the program as it is where they are not given.
    """

    def __init__(
        self,
        program: Program,
        kept: frozenset[str],
        refused: dict[str, Finding],
        options: Options,
        obstacles: Obstacles | None = None,
        application: bool | None = None,
    ) -> None:
        self.program = program
        self.kept = kept
        self.granularity: Granularity = options.granularity
        self.selection = Selection(program, options.scope)
        self.refused = refused
        self.obstacles = obstacles or Obstacles(
            program.derived(Colours),
            held_back(program, kept) | frozenset(refused),
            self.selection.held,
        )
        self.colours = self.obstacles.colours
        movable = self.obstacles.movable
        if not (serves_async_views(program) if application is None else application):
            movable -= self.colours.entries
        self.movable = movable
        self.choice = self.selection.choose(movable, colours=self.colours)
        self.wanted = self.choice.wanted

    def findings(self) -> tuple[Finding, ...]:
        """One finding for each blocking function that stays sync on the way of an entry, and for
        each that stays sync by choice."""
        held = self.selection.held
        bridged = self.choice.bridged | self.selection.bridged(self.movable)
        chosen = {
            function: finding
            for function, finding in (held | bridged).items()
            if self.colours.colour(function) == "blocking"
        }
        found: list[Finding] = list(chosen.values())
        reached = self._reached()
        for function in sorted(reached, key=lambda f: f.qualname):
            if self.colours.native(function) or not self.colours.blocks(function):
                continue
            if function in self.wanted or function in chosen:
                continue
            kinds = self.colours.blocks(function)
            if not self.selection.scope.includes(kinds) and "bridge" not in kinds:
                continue
            refusal = self.refused.get(function.qualname)
            own = [o for o in self.obstacles.of(function) if not self._passing(function, o)]
            found += [refusal] if refusal is not None else own[:1]
        return tuple(found)

    def _passing(self, function: Function, obstacle: Finding) -> bool:
        """Says whether a step to come takes the obstacle away: a decorator that gets a twin."""
        return (
            obstacle.code == "BK308"
            and all(
                can_be_two_coloured(self.colours, decorator.project)
                for decorator in function.decorators
                if decorator.project is not None and decorator.node.lineno == obstacle.line
            )
            and any(
                decorator.project is not None and decorator.node.lineno == obstacle.line
                for decorator in function.decorators
            )
        )

    def _reached(self) -> set[Function]:
        goals = self.selection.goals
        seen = set(self.colours.entries) | set(self.colours.sync_entries)
        if goals is not None:
            seen = set(goals)
        pending = list(seen)
        sent = self.program.derived(sent_by)
        while pending:
            user = pending.pop()
            for reached in (*self._called(user), *sent.get(user, ())):
                for function in self.program.family(reached) - seen:
                    seen.add(function)
                    pending.append(function)
        return seen

    def _called(self, function: Function) -> Iterable[Function]:
        """What the function calls, in the lambdas that a bridge runs too."""
        sites = {*self.program.calls_in(function), *self.colours.sites(function)}
        return [t.function for site in sites if site.kind != "decorator" for t in site.targets]

    def next_step(self) -> Step | None:
        """Builds the step.

        Raises:
            Unconvertible: a function that looked convertible is not.
        """
        batch = self._next_batch()
        return self.build(*batch) if batch is not None else None

    def try_step(self) -> None:
        """Sees whether the step can be built, without writing any code.

        Raises:
            Unconvertible: a function that looked convertible is not.
        """
        batch = self._next_batch()
        if batch is not None:
            self._draft(batch[1])

    def _next_batch(self) -> tuple[str, list[Function]] | None:
        atoms = groups(self.colours, self.wanted)
        return self.next_of([atom for atom, before in atoms if not before])

    def next_of(self, ready: list[Group]) -> tuple[str, list[Function]] | None:
        """The key and the members of the next step when these atoms are ready."""
        for batch in self._batches(ready):
            members = [function for atom in batch for function in atom]
            key = step_key(members)
            if key not in self.kept:
                return key, members
        return None

    def _batches(self, ready: list[Group]) -> Iterable[list[Group]]:
        """The largest steps first; what was in a step that turned red comes in smaller ones.

        After a red layer its modules are tried, after a red module its halves, and theirs.
        """
        batches: dict[str | frozenset[str], list[Group]] = {}
        for atom in sorted(ready, key=lambda atom: (atom[0].path, atom[0].node.lineno)):
            names = {function.qualname for function in atom}
            red = [step for step in self._red if names & step]
            if not red:
                batches.setdefault(self._batch_of(atom), []).append(atom)
            elif all(self._span(step) > 1 for step in red):
                batches.setdefault(f"again {atom[0].path}", []).append(atom)
            else:
                batches.setdefault(min(red, key=len), []).append(atom)
        for batch in batches.values():
            yield from self._halves(batch)

    def _halves(self, batch: list[Group]) -> Iterable[list[Group]]:
        """The batch, or the halves of one that is known to be red."""
        if len(batch) == 1 or not self._is_red(batch):
            yield batch
            return
        middle = len(batch) // 2
        yield from self._halves(batch[:middle])
        yield from self._halves(batch[middle:])

    def _is_red(self, batch: list[Group]) -> bool:
        """Whether these functions were red together, or were with others that are done by now."""
        names = {function.qualname for atom in batch for function in atom}
        return any(names <= red and all(map(self._is_done, red - names)) for red in self._red)

    def _is_done(self, name: str) -> bool:
        function = self.program.functions.get(name)
        return function is None or function.is_async or function in self.colours.facades

    def _span(self, names: frozenset[str]) -> int:
        """How many modules a step was about."""
        known = self.program.functions
        return len({known[name].path if name in known else "" for name in names})

    @cached_property
    def _red(self) -> list[frozenset[str]]:
        """The members of the steps that turned red."""
        return [
            frozenset(key.removeprefix(_PREFIX).split(","))
            for key in sorted(self.kept)
            if key.startswith(_PREFIX)
        ]

    def _batch_of(self, atom: Group) -> str:
        match self.granularity:
            case "function":
                return atom[0].qualname
            case "module":
                return atom[0].path
            case "layer":
                return ""

    def _draft(self, members: list[Function]) -> tuple[Draft, list[str]]:
        """The edits that flip these functions, and the bridges that they add."""
        flipped = set(members)

        def callee_name(function: Function) -> str | None:
            if function.is_async:
                return function.name
            twin = self.colours.facades.get(function)
            if twin is not None:
                return twin.name
            if function in flipped:
                return function.name + TWIN_SUFFIX
            return None

        draft = Draft(self.program)
        rewriter = BodyRewriter(self.colours, self.obstacles, draft, callee_name)
        added: list[str] = []
        for function in members:
            rewriter.convert(function)
            file, edits = self.program.files[function.path], draft.edits(function.path)
            if function in self.colours.entries:
                flip_in_place(file, edits, function)
            else:
                rewriter.needs(function, function.node, "bridgekit", "async_to_sync")
                flip_to_twin(file, edits, function)
                added.append(f"async_to_sync: facade {function.qualname}")
                for place, uses in rename_cache_uses(self.program, draft, function).items():
                    rewriter.renamed_calls.setdefault(place, []).extend(uses)
        import_twins(self.program, draft, rewriter.renamed_calls)
        retarget_patches(self.colours, draft, flipped)
        give_mocks_faces(self.colours, draft, flipped)
        return draft, added + rewriter.bridges_added

    def build(self, key: str, members: list[Function]) -> Step:
        """The step that flips these functions.

        Raises:
            Unconvertible: a function that looked convertible is not.
        """
        draft, bridges = self._draft(members)
        views = all(function in self.colours.entries for function in members)
        return Step(
            key=key,
            kind="views" if views else "flip",
            title=_title(members, views=views),
            members=tuple(function.qualname for function in members),
            changes=draft.changes(),
            bridges_added=tuple(bridges),
        )


def _title(members: list[Function], *, views: bool) -> str:
    plain = [function.name for function in members]
    if len(set(plain)) < len(plain):
        plain = [f"{f.cls.name}.{f.name}" if f.cls is not None else f.name for f in members]
    names = ", ".join(plain)
    modules = sorted({function.module for function in members})
    title = f"Make {names} in {modules[0]} async"
    if len(modules) == 1 and len(title) <= 72:
        return title
    what = "views" if views else "functions"
    where = modules[0] if len(modules) == 1 else f"{len(modules)} modules"
    return f"Make {len(members)} {what} of {where} async"


def step_key(members: Iterable[Function]) -> str:
    """The key under which a step of these functions stands in the ledger."""
    return _PREFIX + ",".join(sorted(function.qualname for function in members))


def serves_async_views(program: Program) -> bool:
    """Says whether the application object runs `async def` views on the process's loop."""
    if own_applications(program):
        return False
    made = {dotted for site in program.calls for dotted in site.externals}
    return "flask.Flask" not in made and (
        makes_asgi_application(program) or not made.isdisjoint(_SERVING)
    )
