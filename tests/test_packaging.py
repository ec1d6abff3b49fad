"""What ships, under which name, and that nothing sends a reader to a stranger's package."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The index name `bridgekit` is another project's. Only the name followed by `-` is ours.
STRANGER = re.compile(r"pip3?\s+install\s+(?:-\S+\s+)*[\"']?bridgekit(?!-|\w)", re.IGNORECASE)
INDEX_OPTION = re.compile(r"--(?:extra-)?index-url|--find-links")
INDEX_ADDRESS = re.compile(r"https?://[^\s\"'<>]*(?:/simple\b|files\.pythonhosted|pypi\.)")


def committed_texts() -> dict[str, str]:
    """Path and text of every file under version control, this file left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    if listing.returncode:
        pytest.skip("not a git work tree: nothing to tell committed files from others")
    paths = [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]
    texts = {}
    for path in paths:
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            texts[str(path.relative_to(ROOT))] = data.decode("utf-8", errors="replace")
    assert "pyproject.toml" in texts
    return texts


def test_distribution_name_is_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "bridgekit-async"
    requirements = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        requirements += extra
    assert [item for item in requirements if re.match(r"bridgekit(?!-)", item)] == []


@pytest.mark.parametrize(
    "line",
    ["pip install bridgekit", "pip install -U 'bridgekit[migrate]'", "pip3 install bridgekit==1"],
)
def test_a_line_that_installs_the_stranger_is_seen(line: str) -> None:
    assert STRANGER.search(line)
    assert not STRANGER.search("pip install bridgekit-async")


def test_no_file_installs_the_stranger_or_names_an_index() -> None:
    found = [
        f"{path}: {match.group()}"
        for path, text in committed_texts().items()
        for line in text.splitlines()
        if " not in " not in line  # a test that says the same of what it checks
        for pattern in (STRANGER, INDEX_OPTION, INDEX_ADDRESS)
        for match in pattern.finditer(line)
    ]
    assert found == []


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 20
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.+!]*", pin)] == []


@pytest.mark.slow
def test_wheel_holds_both_packages(tmp_path: Path) -> None:
    # Without isolation: the build backend is a test dependency, so nothing is downloaded.
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True, timeout=100, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("bridgekit_async-")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        fields = Parser().parsestr(archive.read(metadata).decode())
    for package in ("bridgekit", "bridgekit_codemods"):
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names
    assert "bridgekit_codemods/catalog/data/requests.toml" in names
    assert fields["Name"] == "bridgekit-async"
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "bridgekit",
        "bridgekit_codemods",
    }
