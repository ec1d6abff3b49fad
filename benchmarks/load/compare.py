"""The legacy form of a service and its migrated forms under the same load, side by side.

Starts the stub upstreams, seeds one SQLite database, serves the legacy form with gunicorn
(gthread, one worker) and each migrated form with uvicorn (one worker), checks that all of them
give the same JSON for the same address, then loads them in turn: rounds are interleaved and their
order is shuffled, so that a noisy minute of the machine hurts all forms alike. Figures are medians
over the rounds. Everything listens on the loopback address and ends with this process.

    python benchmarks/load/compare.py --migrated httpx=/path/to/migrated/copy

The defaults fit examples/legacy_app. For another service give --legacy, --upstreams, --app,
--path, --ids, --prepare and --env; in them `{python}`, `{app}`, `{upstreams}` (address of the stub
server) and `{data}` (a directory of its own for each form, a copy of the one that was seeded) are
filled in.

Exit status: 0 the run is complete; 1 answers differ between the forms, or a server failed.
"""

import argparse
import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import report
import servers
from rich.console import Console
from servers import Cores, Running, ServerFailed

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent / "examples" / "legacy_app"
EXAMPLE_ENV = (
    "DATABASE_URL=sqlite:///{data}/app.db",
    "DATA_DIR={data}",
    "PRICING_URL={upstreams}/pricing",
    "CARRIERS_URL={upstreams}/carriers",
    "SUMMARY_URL={upstreams}/summary",
    "HTTP_POOL_SIZE=500",
)
EXAMPLE_PREPARE = ("{python} -m flask --app {app} init-db", "{python} -m flask --app {app} seed")


class AnswersDiffer(Exception):
    """Two forms of the program gave different answers to the same request."""


@dataclass(frozen=True)
class Form:
    """One form of the service: where it lies and how it is served."""

    label: str
    directory: Path
    app: str
    is_legacy: bool


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--legacy", type=Path, default=EXAMPLE, help="directory of the legacy form")
    add("--migrated", action="append", default=[], metavar="[LABEL=]DIR", help="repeatable")
    add("--upstreams", type=Path, default=EXAMPLE, help="directory with the package `upstreams`")
    add("--app", default="ordertrack.wsgi:app", help="WSGI import string of the legacy form")
    add("--asgi-app", help="import string of the migrated forms; default: that of the legacy form")
    add("--path", default="/api/orders/{id}/quote")
    add("--ids", default="1-6", help="values of {id}: one number or a range")
    add("--prepare", action="append", help="command run once in --legacy to seed; repeatable")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="for every form")
    add("--migrated-env", action="append", default=[], metavar="NAME=VALUE")
    add("--threads", type=int, default=40, help="threads of the legacy form's worker")
    add("--latency-ms", type=float, default=50.0, help="of every answer of the upstreams")
    add("--clients", default="100,400", help="numbers of concurrent clients, with commas")
    add("--rounds", type=int, default=3)
    add("--warmup", type=float, default=1.5, help="seconds a round, not counted")
    add("--duration", type=float, default=4.0, help="seconds a round, counted")
    add("--seed", type=int, default=1, help="of the order within the rounds")
    add("--markdown", type=Path, metavar="FILE", help="write the table as Markdown; - is stdout")
    add("--json", type=Path, metavar="FILE", help="write all figures of all rounds")
    return parser


def forms(options: argparse.Namespace) -> list[Form]:
    found = [Form("legacy", options.legacy.resolve(), options.app, is_legacy=True)]
    for item in options.migrated:
        label, _, directory = item.rpartition("=")
        path = Path(directory).resolve()
        app = options.asgi_app or options.app
        found.append(Form(label or "migrated", path, app, is_legacy=False))
    labels = [form.label for form in found]
    if len(set(labels)) != len(labels):
        raise SystemExit(f"two forms with the same label: {', '.join(labels)}")
    for form in found:
        if not form.directory.is_dir():
            raise SystemExit(f"no such directory: {form.directory}")
    return found


def environment(settings: Sequence[str], directory: Path, **values: str) -> dict[str, str]:
    """This process's environment, `directory` as the import path, and the given settings."""
    env = {**os.environ, "PYTHONPATH": str(directory), "PYTHONUNBUFFERED": "1"}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise SystemExit(f"not NAME=VALUE: {setting}")
        env[name] = fill(value, **values)
    return env


def fill(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def prepare(options: argparse.Namespace, data: Path, env: Mapping[str, str]) -> None:
    commands = EXAMPLE_PREPARE if options.prepare is None else options.prepare
    for command in commands:
        words = shlex.split(fill(command, python=sys.executable, app=options.app, data=str(data)))
        done = subprocess.run(
            words, cwd=options.legacy, env=dict(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ServerFailed(f"{shlex.join(words)} failed\n{done.stdout}{done.stderr}")


def serve(
    form: Form, options: argparse.Namespace, work: Path, upstreams_at: str, cores: Cores
) -> contextlib.AbstractContextManager[Running]:
    """Start one form on a free port, with its own copy of the seeded data."""
    data = work / f"data-{form.label}"
    shutil.copytree(work / "seed", data)
    settings = [*EXAMPLE_ENV, *options.env, *([] if form.is_legacy else options.migrated_env)]
    port = servers.free_port()
    command = (
        servers.gunicorn(form.app, port, options.threads)
        if form.is_legacy
        else servers.uvicorn(form.app, port)
    )
    return servers.started(
        form.label, command, port=port, cwd=form.directory, cores=cores.server,
        env=environment(settings, form.directory, upstreams=upstreams_at, data=str(data)),
        log=work / f"{form.label}.log",
    )  # fmt: skip


def addresses(options: argparse.Namespace) -> Iterator[str]:
    first, _, last = options.ids.partition("-")
    for number in range(int(first), int(last or first) + 1):
        yield options.path.replace("{id}", str(number))


def check_same_answers(running: Sequence[Running], options: argparse.Namespace) -> int:
    """Ask every form for every address; raises AnswersDiffer, returns how many were compared."""
    count = 0
    for path in dict.fromkeys(addresses(options)):
        expected: Any = None
        for server in running:
            status, body = servers.get(server.port, path, timeout=30.0)
            try:
                answer = (status, json.loads(body))
            except ValueError:
                answer = (status, body[:300])
            if status != 200:
                log = servers.tail(server.log)
                raise AnswersDiffer(f"{server.name} answers {path} with {answer}\n{log}")
            if server is running[0]:
                expected = answer
            elif answer != expected:
                raise AnswersDiffer(
                    f"{path}\n  {running[0].name}: {expected}\n  {server.name}: {answer}"
                )
        count += 1
    return count


def upstream_calls(port: int) -> int:
    """How many requests the stub upstreams have answered so far."""
    _, body = servers.get(port, "/_control", timeout=10.0)
    return sum(json.loads(body)["counts"].values())


def load(server: Running, clients: int, options: argparse.Namespace, cores: Cores) -> Any:
    command = [
        *(sys.executable, str(HERE / "client.py"), "--port", str(server.port)),
        *("--path", options.path, "--ids", options.ids, "--clients", str(clients)),
        *("--warmup", f"{options.warmup}", "--duration", f"{options.duration}"),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        if cores.client:
            os.sched_setaffinity(process.pid, cores.client)
        output, _ = process.communicate(timeout=options.warmup + options.duration + 45.0)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise ServerFailed(f"the load client ended with status {process.returncode}")
    return json.loads(output)


def measure(
    running: Sequence[Running], options: argparse.Namespace, cores: Cores, console: Console
) -> list[report.Measured]:
    order = random.Random(options.seed)
    numbers = [int(number) for number in options.clients.split(",")]
    results = {
        (number, server.name): report.Measured(server.name, number)
        for number in numbers
        for server in running
    }
    for turn in range(options.rounds):
        for number in numbers:
            for server in order.sample(list(running), len(running)):
                cpu = server.cpu_seconds()
                figures = load(server, number, options, cores)
                cpu = server.cpu_seconds() - cpu
                entry = results[number, server.name]
                entry.rounds.append(figures)
                entry.memory_mb.append(server.memory_mb())
                if figures["answers"]:
                    entry.cpu_ms.append(cpu * 1000 / figures["answers"])
                console.print(
                    f"round {turn + 1}/{options.rounds}  {number} clients  {server.name}: "
                    f"{figures['rps']:,.0f} requests/s, {figures['errors']} errors",
                    highlight=False,
                )
    return list(results.values())


def notes(
    options: argparse.Namespace, cores: Cores, calls: float, results: Sequence[report.Measured]
) -> list[str]:
    """What the reader must know to judge the figures."""
    wait = calls * options.latency_ms
    found = [
        f"{report.machine()}; {cores}.",
        f"GET {options.path}: {calls:g} upstream calls of {options.latency_ms:g} ms each, one after"
        f" another, so no answer takes less than {wait:g} ms.",
        f"Legacy: gunicorn gthread, 1 worker, {options.threads} threads. Migrated: uvicorn,"
        " 1 worker.",
        f"Medians of {options.rounds} interleaved rounds of {options.duration:g} s after"
        f" {options.warmup:g} s of warm-up; memory is the largest {servers.memory_kind()} of the"
        " server's processes after a round.",
    ]
    if wait:
        ceiling = options.threads / wait * 1000
        found.append(f"The legacy ceiling is {options.threads} threads / {wait:g} ms ="
                     f" {ceiling:,.0f} requests/s, whatever the load.")  # fmt: skip
        limits = ", ".join(f"{n} clients {int(n) / wait * 1000:,.0f}"
                           for n in options.clients.split(","))  # fmt: skip
        found.append(f"No form can exceed clients / {wait:g} ms in requests/s: {limits}.")
    busiest = max((r["client_cpu"] for item in results for r in item.rounds), default=0.0)
    if busiest > 0.8:
        found.append(f"The load client used {busiest:.0%} of its core: figures may be its limit.")
    return found


def run(options: argparse.Namespace, console: Console) -> None:
    cores = Cores.choose()
    wanted = forms(options)
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridgekit-load-")))
        (work / "seed").mkdir()
        port = servers.free_port()
        upstreams = stack.enter_context(
            servers.started(
                "upstreams", servers.upstreams(port, options.latency_ms), port=port,
                cwd=options.upstreams, cores=cores.upstreams, log=work / "upstreams.log",
                env=environment([], options.upstreams.resolve()),
            )
        )  # fmt: skip
        at = f"http://{servers.HOST}:{port}"
        seed_env = environment(
            [*EXAMPLE_ENV, *options.env], options.legacy.resolve(),
            upstreams=at, data=str(work / "seed"),
        )  # fmt: skip
        prepare(options, work / "seed", seed_env)
        running = [stack.enter_context(serve(form, options, work, at, cores)) for form in wanted]
        console.print(f"Serving {', '.join(s.name for s in running)}; {cores}.", highlight=False)
        before = upstream_calls(upstreams.port)
        compared = check_same_answers(running, options)
        made = upstream_calls(upstreams.port) - before
        calls = made / (compared * len(running))
        console.print(f"All forms give the same JSON for {compared} addresses.", highlight=False)
        results = measure(running, options, cores, console)
    remarks = notes(options, cores, calls, results)
    report.show(console, results, remarks)
    if options.json:
        data = [vars(item) for item in results]
        options.json.write_text(json.dumps({"notes": remarks, "results": data}, indent=1))
    if options.markdown:
        text = report.markdown(results, remarks) + "\n"
        if str(options.markdown) == "-":
            sys.stdout.write(text)
        else:
            options.markdown.write_text(text, encoding="utf-8")


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """Turn a request to end into an exception, so that every started process is ended too."""
    raise SystemExit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, leave)
    options = arguments().parse_args()
    to_stdout = options.markdown is not None and str(options.markdown) == "-"
    console = Console(stderr=to_stdout)
    try:
        run(options, console)
    except (AnswersDiffer, ServerFailed) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
