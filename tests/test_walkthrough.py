"""docs/walkthrough.md does what it says, and the runner that finds out fails when it does not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _load() -> ModuleType:
    path = Path(__file__).with_name("walkthrough_runner.py")
    spec = importlib.util.spec_from_file_location("bridgekit_walkthrough_runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


runner = _load()

TINY = """\
# Title

Prose with `$ code`.

## One

```python
# file: hello.py
import sys

print("hello from", sys.argv[1])
print("a1b2c3d took 0.25 s")
```

```console
$ python hello.py me
hello from me
0000000 took 17 s
$ mkdir -p sub && cd sub
$ pwd
~/start/sub
```

## Two

```console
$ printf '%s\\n' first second \\
>   third last
first
...
last
$ false; echo "exit status $?"
exit status 1
```
"""


@pytest.fixture
def start(tmp_path: Path) -> Path:
    (tmp_path / "start").mkdir()
    return tmp_path / "start"


def take(document: str, start: Path, seconds: float = 60) -> None:
    runner.Walk(start.parent, start, seconds).take(runner.parse(document))


def test_sections_files_and_commands_are_found() -> None:
    one, two = (section for section in runner.parse(TINY) if section.title)
    assert (one.title, two.title) == ("One", "Two")
    file, first, cd, pwd = one.blocks
    assert (file.name, file.line) == ("hello.py", 8)
    assert file.text.startswith("# file: hello.py\nimport sys\n")
    assert first == runner.Command(16, "python hello.py me", ("hello from me", "0000000 took 17 s"))
    assert cd.expected == ()
    assert pwd.expected == ("~/start/sub",)
    assert two.blocks[0].text == "printf '%s\\n' first second \\\n  third last"


def test_a_document_that_is_right_passes(start: Path) -> None:
    take(TINY, start)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("hello from me", "hello from you"),
        ("~/start/sub", "~/start"),
        ("exit status 1", "exit status 0"),
        ("...\nlast", "...\nthird"),
        ("...\nlast", "last"),
        ("$ pwd\n", "$ pwd; echo more\n"),
        ("$ pwd\n", "$ pwd; false\n"),
        ("$ python hello.py me", "$ python other.py me"),
    ],
)
def test_a_document_that_is_wrong_fails(start: Path, right: str, wrong: str) -> None:
    assert TINY.count(right) == 1
    with pytest.raises(runner.Mismatch, match=r"^line \d+: \$ "):
        take(TINY.replace(right, wrong), start)


def test_a_command_that_hangs_is_stopped_and_fails(start: Path) -> None:
    with pytest.raises(runner.Mismatch, match="still running after"):
        take("## Hang\n```console\n$ sleep 1000\n```\n", start, seconds=0.5)


def test_a_command_that_leaves_a_process_fails(start: Path) -> None:
    with pytest.raises(runner.Mismatch, match="processes were left running"):
        take("## Leave\n```console\n$ sleep 1000 >/dev/null 2>&1 &\n```\n", start)


@pytest.mark.parametrize(
    "document",
    [
        "```sh\nls\n```\n",
        "```\nls\n```\n",
        "```console\nls\n```\n",
        "```python\nprint()\n```\n",
        "```console\n$ ls\n",
    ],
)
def test_a_block_that_could_not_be_tested_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"^line [12]: "):
        runner.parse(document)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("204 passed in 9.18s", "204 passed in 61.52s (0:01:01)"),
        ("commit 0123456789abcdef", "commit fedcba9876543210"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:41234/"),
        ("59 files, 250 functions", "60 files, 1 function"),
        ("  blocking    146", "  blocking     99"),
        ("101 blocking calls: db 54, sleep 3", "99 blocking calls: db 50, sleep 13"),
    ],
)
def test_what_varies_is_masked(one: str, other: str) -> None:
    assert runner.masked(one) == runner.masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("204 passed in 9.18s", "203 passed in 9.18s"),
        ("1 failed, 203 passed in 9.18s", "204 passed in 9.18s"),
        ("4 steps done now, 4 in all, 0 kept back", "4 steps done now, 4 in all, 1 kept back"),
        ("exit status 0", "exit status 1"),
        ("200 /api/health", "500 /api/health"),
    ],
)
def test_what_matters_is_not_masked(one: str, other: str) -> None:
    assert runner.masked(one) != runner.masked(other)


def walkthrough(tmp_path: Path) -> tuple[list[object], object]:
    """The sections, and a reader who stands in a clone that has the example."""
    clone = tmp_path / "bridgekit"
    clone.mkdir()
    (clone / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    text = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
    return runner.parse(text), runner.Walk(tmp_path, clone, 1500)


def test_there_are_ten_sections(tmp_path: Path) -> None:
    sections, _ = walkthrough(tmp_path)
    numbers = [section.title.partition(".")[0] for section in sections if section.title]
    assert numbers == [str(number) for number in range(1, 11)]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_way_up_to_the_dry_run(tmp_path: Path) -> None:
    sections, reader = walkthrough(tmp_path)
    reader.take(
        section for section in sections if section.title[:2] in {"1.", "2.", "3.", "4.", "5."}
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_way(tmp_path: Path) -> None:
    sections, reader = walkthrough(tmp_path)
    reader.take(sections)
