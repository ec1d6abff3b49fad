"""The programs, as data: where they come from, what they need, how they are tested and migrated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """A public git repository at one commit."""

    url: str
    commit: str

    @property
    def words(self) -> str:
        """The source in words, for the table."""
        return f"[{self.commit[:12]}]({self.url}/tree/{self.commit})"


@dataclass(frozen=True)
class SourceDistribution:
    """The source distribution of one release, from the package index."""

    project: str
    version: str

    @property
    def words(self) -> str:
        """The source in words, for the table."""
        return f"{self.project} {self.version}"


@dataclass(frozen=True)
class Twin:
    """The async twin of a program that its maintainers keep by hand, and both packages' names."""

    name: str
    source: Repository
    package: str
    twin: str


@dataclass(frozen=True)
class Entry:
    """One program.

    inside        directory of the source that is the program; empty for the whole
    requirements  what its suite needs, as pip takes it; pytest-asyncio, which runs the tests that
                  become async, comes along
    extras        extras of this distribution that the migrated program needs
    suite         arguments of pytest: the parts of its suite that need no network
    options       options of `bridgekit migrate`, beside the guard
    remark        what a reader of the table must know about it
    twin          an async twin to hold the result against
    prepared      what is changed by hand before the migration: file, text, what takes its place
    """

    name: str
    source: Repository | SourceDistribution
    requirements: tuple[str, ...]
    extras: tuple[str, ...]
    suite: tuple[str, ...]
    options: tuple[str, ...] = ()
    inside: str = ""
    remark: str = ""
    twin: Twin | None = None
    prepared: tuple[tuple[str, str, str], ...] = ()


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="flaskr",
        source=SourceDistribution("flask", "3.1.3"),
        inside="examples/tutorial",
        requirements=("flask==3.1.3", "pytest>=9.0.3"),
        extras=("flask", "quart"),
        suite=("-o", "asyncio_default_fixture_loop_scope=function"),
        remark="Flask's tutorial; it makes every warning an error, also that of pytest-asyncio "
        "without a scope",
    ),
    Entry(
        name="httpbin",
        source=SourceDistribution("httpbin", "0.10.4"),
        requirements=(
            "flask==3.1.3",
            "werkzeug==3.1.9",
            "brotlicffi",
            "decorator",
            "six",
            "pytest>=9.0.3",
        ),
        extras=("flask",),
        suite=("tests", "-o", "asyncio_default_fixture_loop_scope=function"),
        remark="stays on Flask: flasgger, which it uses where it is installed, is made for Flask; "
        "the only calls of its views that wait are sleeps",
    ),
    Entry(
        name="microblog",
        source=Repository(
            "https://github.com/miguelgrinberg/microblog",
            "a975ef64864354867c88e0ed3a17ba7d17dca752",
        ),
        requirements=(
            "Flask==3.0.0",
            "Werkzeug==3.0.1",
            "flask-babel==4.0.0",
            "Flask-HTTPAuth==4.8.0",
            "Flask-Login==0.6.3",
            "Flask-Mail==0.9.1",
            "Flask-Migrate==4.0.5",
            "Flask-Moment==1.0.5",
            "Flask-SQLAlchemy==3.1.1",
            "Flask-WTF==1.2.1",
            "SQLAlchemy==2.0.58",
            "elasticsearch==8.11.0",
            "email-validator==2.1.0.post1",
            "langdetect==1.0.9",
            "PyJWT==2.8.0",
            "python-dotenv==1.0.0",
            "redis==5.0.1",
            "requests==2.31.0",
            "rq==1.15.1",
            "pytest>=8.4",
        ),
        extras=("flask-login", "flask-sqlalchemy", "http"),
        suite=("tests.py", "-o", "asyncio_default_fixture_loop_scope=function"),
        options=("--granularity", "layer", "--allow-unguarded"),
        remark="stays on Flask for its eight extensions, with async views on one event loop; its "
        "suite has four tests, of the models alone, hence --allow-unguarded; the release of "
        "SQLAlchemy that it holds is raised by hand before",
        prepared=(("requirements.txt", "\nSQLAlchemy==2.0.23\n", "\nSQLAlchemy==2.0.58\n"),),
    ),
    Entry(
        name="prawcore",
        source=Repository(
            "https://github.com/praw-dev/prawcore", "06e47308ab98b0f5085394c85e3cd32081e75f77"
        ),
        requirements=("requests==2.34.2", "pytest>=9.0.3", "vcrpy>=8.1.1"),
        extras=("http",),
        suite=(),
        options=("--goal", "prawcore.*"),
        remark="a library: its public functions are the goals",
        twin=Twin(
            "asyncprawcore",
            Repository(
                "https://github.com/praw-dev/asyncprawcore",
                "761f377085da1dffa96a62b23e0b7a6532978db2",
            ),
            package="prawcore",
            twin="asyncprawcore",
        ),
    ),
    Entry(
        name="spotipy",
        source=Repository(
            "https://github.com/spotipy-dev/spotipy", "c52a29f6d255c8f1b9b0ff5c2ebf566174db2cb5"
        ),
        requirements=("requests>=2.25.0", "redis>=3.5.3", "urllib3>=1.26.0", "pytest>=9.0.3"),
        extras=("http",),
        suite=(
            "tests/unit",
            "--deselect",
            "tests/unit/test_oauth.py::TestSpotifyClientCredentials"
            "::test_spotify_client_credentials_get_access_token",
        ),
        options=("--goal", "spotipy.*", "--allow-unguarded"),
        remark="a library: its public functions are the goals; its integration tests, and one of "
        "its unit tests, ask Spotify's servers and are left out, and no other test reaches the "
        "client, so that its steps stand on the program model alone",
    ),
)


def chosen(names: list[str]) -> tuple[Entry, ...]:
    """The entries of these names, all without any.

    Raises:
        ValueError: there is no program of that name.
    """
    known = {entry.name: entry for entry in ENTRIES}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no program {name!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else ENTRIES
