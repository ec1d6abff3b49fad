"""BK201 requests-to-httpx."""

from __future__ import annotations

import importlib
from textwrap import dedent

import pytest

from bridgekit_codemods.rules.requests_client import RequestsClient
from bridgekit_codemods.rules.requests_names import LACKING, NAMES, SHIMS, place

RULE = RequestsClient()

IMPORTS = [
    ("import requests", "from bridgekit.integrations import requests"),
    ("import requests as r", "from bridgekit.integrations import requests as r"),
    ("import os, requests", "import os\nfrom bridgekit.integrations import requests"),
    ("import requests.exceptions", "from bridgekit.integrations import requests"),
    (
        "import requests.exceptions as problems",
        "from bridgekit.integrations.requests import exceptions as problems",
    ),
    ("import requests, requests.auth", "from bridgekit.integrations import requests"),
    (
        "from requests import Session, get",
        "from bridgekit.integrations.requests import Session, get",
    ),
    (
        "from requests import Session as S  # noqa: N814",
        "from bridgekit.integrations.requests import Session as S  # noqa: N814",
    ),
    (
        "from requests.exceptions import (\n    ConnectionError,  # the usual one\n    Timeout,\n)",
        "from bridgekit.integrations.requests.exceptions import (\n"
        "    ConnectionError,  # the usual one\n    Timeout,\n)",
    ),
    (
        "from requests.adapters import HTTPAdapter",
        "from bridgekit.integrations.requests.adapters import HTTPAdapter",
    ),
    (
        "from requests.auth import HTTPBasicAuth",
        "from bridgekit.integrations.requests.auth import HTTPBasicAuth",
    ),
    (
        "import requests\nfrom urllib3.util.retry import Retry",
        "from bridgekit.integrations import requests\n"
        "from bridgekit.integrations.requests.adapters import Retry",
    ),
    (
        "import requests\nfrom urllib3.util import Retry, parse_url",
        "from bridgekit.integrations import requests\n"
        "from bridgekit.integrations.requests.adapters import Retry\n"
        "from urllib3.util import parse_url",
    ),
    (
        "from requests.packages.urllib3.util.retry import Retry",
        "from bridgekit.integrations.requests.adapters import Retry",
    ),
    (
        "import requests\nfrom requests.compat import quote_plus, urljoin as join  # both",
        "from bridgekit.integrations import requests\n"
        "from urllib.parse import quote_plus, urljoin as join  # both",
    ),
    (
        "import requests\nfrom requests.utils import quote, requote_uri",
        "from bridgekit.integrations import requests\n"
        "from bridgekit.integrations.requests.parsing import requote_uri\n"
        "from urllib.parse import quote",
    ),
    (
        "import requests\nfrom requests.packages.urllib3.exceptions import InsecureRequestWarning",
        "from bridgekit.integrations import requests\n"
        "from urllib3.exceptions import InsecureRequestWarning",
    ),
    ("from requests import api", "from bridgekit.integrations.requests import api"),
    (
        "from requests.api import get as fetch",
        "from bridgekit.integrations.requests import get as fetch",
    ),
]


@pytest.mark.parametrize(("before", "after"), IMPORTS, ids=[before for before, _ in IMPORTS])
def test_imports_move_to_the_shim(rewritten, before: str, after: str) -> None:
    source = f'"""Doc."""\n\n# above\n{before}\n\nx = 1  # kept\n'

    assert rewritten(RULE, source) == source.replace(before, after)


def test_the_other_library_has_a_module_of_its_own(rewritten) -> None:
    source = "import requests\nfrom requests.exceptions import Timeout\n\nrequests.get('u')\n"

    assert rewritten(RULE, source, client="httpx2") == (
        "from bridgekit.integrations import requests_httpx2 as requests\n"
        "from bridgekit.integrations.requests_httpx2.exceptions import Timeout\n\n"
        "requests.get('u')\n"
    )


def test_uses_stay_as_they_are_written(rewritten) -> None:
    source = """\
        import requests

        def price(sku):
            try:
                with requests.Session() as session:
                    response = session.get(f"/p/{sku}", timeout=(1, 2))
                    response.raise_for_status()
                    return response.json()["cents"]
            except requests.exceptions.HTTPError as error:  # told apart below
                if error.response.status_code == requests.codes.not_found:
                    return None
                raise
        """

    assert rewritten(RULE, source) == dedent(source).replace(
        "import requests\n", "from bridgekit.integrations import requests\n"
    )


def test_names_that_have_moved_within_requests_are_followed(rewritten) -> None:
    source = """\
        import requests

        retry = requests.packages.urllib3.util.retry.Retry(3)
        reply = requests.api.get("u")
        """

    assert rewritten(RULE, source) == dedent(
        """\
        from bridgekit.integrations import requests

        retry = requests.adapters.Retry(3)
        reply = requests.get("u")
        """
    )


def test_a_local_import_stays_local(rewritten) -> None:
    source = "def f():\n    import requests\n    return requests.get('u')\n"

    assert rewritten(RULE, source) == (
        "def f():\n    from bridgekit.integrations import requests\n    return requests.get('u')\n"
    )


def test_a_guarded_one_line_import_stays_on_its_line(rewritten) -> None:
    source = "if 1: import requests; import os\n"

    assert rewritten(RULE, source) == (
        "if 1: from bridgekit.integrations import requests; import os\n"
    )


def test_all_modules_move_in_one_step(propose) -> None:
    step = propose(
        RULE,
        {
            "pkg/__init__.py": "",
            "pkg/client.py": "import requests\n\ndef get():\n    return requests.get('u')\n",
            "pkg/views.py": "from requests import Timeout\n",
            "tests/test_client.py": "import requests\n",
            "pkg/other.py": "import json\n",
        },
    )

    assert set(step.changes) == {"pkg/client.py", "pkg/views.py", "tests/test_client.py"}
    assert step.kind == "http-client"


def test_names_patched_by_a_string_move_along(rewritten) -> None:
    source = {
        "pkg/__init__.py": "",
        "pkg/client.py": "import requests\n\ndef price():\n    return requests.get('u')\n",
        "tests/test_client.py": """\
            from unittest import mock

            from pkg import client

            def test_price(monkeypatch):
                with mock.patch("requests.get") as get:
                    client.price()
                with mock.patch('requests.sessions.Session.request'):
                    client.price()
                monkeypatch.setattr("requests.Session.get", None)
                with mock.patch("pkg.client.requests.get"):
                    client.price()
                assert "requests.get" != "requests"
            """,
    }

    after = rewritten(RULE, source, "tests/test_client.py")

    assert after == (
        dedent(source["tests/test_client.py"])
        .replace('patch("requests.get', 'patch("bridgekit.integrations.requests.get')
        .replace("'requests.sess", "'bridgekit.integrations.requests.sess")
        .replace('setattr("requests.S', 'setattr("bridgekit.integrations.requests.S')
    )


def test_bytes_are_kept(propose) -> None:
    source = "# -*- coding: utf-8 -*-\r\nimport requests\r\nname = 'Zoë'\r\n"

    step = propose(RULE, source)

    assert (
        step.changes["app.py"]
        == source.replace("import requests", "from bridgekit.integrations import requests").encode()
    )


def test_the_declared_dependencies_follow(propose) -> None:
    project = '[project]\nname = "shop"\ndependencies = ["flask", "requests>=2"]\n'

    step = propose(RULE, {"app.py": "import requests\n", "pyproject.toml": project})

    assert step.changes["pyproject.toml"].decode() == project.replace(
        '"requests>=2"', '"httpx>=0.28,<1", "aiohttp>=3.11"'
    )


@pytest.mark.parametrize(
    "source",
    [
        "import json\n",
        "from . import requests\n",
        "from app.requests import get\n",
        "from bridgekit.integrations import requests\n\nrequests.get('u')\n",
        "from urllib3.util.retry import Retry\n",
        "requests = {}\nrequests.get('u')\n",
        "from flask import request\n\nrequest.args.get('u')\n",
    ],
)
def test_programs_without_requests_are_not_touched(untouched, found, source: str) -> None:
    untouched(RULE, source)
    assert found(RULE, source) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import responses", "responses works on the internals of requests"),
        ("from requests_mock import Mocker", "requests_mock works on the internals of requests"),
        (
            "from requests.utils import super_len",
            "the httpx-based client has no requests.utils.super_len",
        ),
        ("from requests import utils", "the httpx-based client has no requests.utils"),
        ("import requests.utils as u", "the httpx-based client has no requests.utils"),
        ("import requests.compat as c", "the httpx-based client has no requests.compat"),
        (
            "x = requests.utils.default_user_agent()",
            "the httpx-based client has no requests.utils.default_user_agent",
        ),
        ("x = requests.compat.is_py3", "the httpx-based client has no requests.compat.is_py3"),
        (
            "from requests.packages import chardet",
            "the httpx-based client has no requests.packages.chardet",
        ),
        ("from requests import *", "`from requests import *` hides which names are used"),
    ],
)
def test_what_the_shim_lacks_keeps_the_whole_program(
    untouched, found, line: str, reason: str
) -> None:
    files = {"a.py": f"import requests\n{line}\n", "b.py": "import requests\n"}

    untouched(RULE, files)
    assert found(RULE, files) == [("a.py", 2, reason)]


def test_errors_of_urllib3_that_are_caught_keep_the_whole_program(untouched, found) -> None:
    source = """\
        import requests
        import urllib3.exceptions

        def f():
            try:
                return requests.get("u")
            except (ValueError, urllib3.exceptions.ProtocolError):
                return None
        """

    untouched(RULE, source)
    ((_path, line, reason),) = found(RULE, source)
    assert (line, reason) == (7, "urllib3.exceptions.ProtocolError is never raised by httpx")


def test_a_patched_name_that_the_shim_lacks_keeps_the_whole_program(untouched, found) -> None:
    source = """\
        import requests
        from unittest import mock

        def test_it():
            with mock.patch("requests.utils.default_user_agent"):
                requests.get("u")
        """

    untouched(RULE, source)
    ((_path, line, reason),) = found(RULE, source)
    assert line == 5
    assert reason.startswith("the test replaces requests.utils.default_user_agent")


def test_a_step_that_was_kept_back_is_not_proposed_again(propose) -> None:
    assert propose(RULE, "import requests\n", kept=frozenset({RULE.key})) is None


@pytest.mark.parametrize("shim", SHIMS.values())
def test_the_table_is_what_the_shim_has(shim: str) -> None:
    for module, names in NAMES.items():
        loaded = importlib.import_module(f"{shim}.{module}" if module else shim)
        assert {name for name in names if not hasattr(loaded, name)} == set()


@pytest.mark.parametrize("name", LACKING)
def test_what_is_listed_as_lacking_is_real_in_the_library(name: str) -> None:
    import requests
    import requests.adapters
    from urllib3.util.retry import Retry

    owner = {"Session": requests.Session(), "HTTPAdapter": requests.adapters.HTTPAdapter()}.get(
        name, Retry
    )
    assert {member for member in LACKING[name] if not hasattr(owner, member)} == set()


@pytest.mark.parametrize(
    ("dotted", "expected"),
    [
        ("requests.get", ("", "get")),
        ("requests.exceptions.Timeout", ("exceptions", "Timeout")),
        ("requests.exceptions", ("", "exceptions")),
        ("requests.Session.get", ("", "Session.get")),
        ("requests.Session.resolve_redirects", None),
        ("urllib3.util.retry.Retry", ("adapters", "Retry")),
        ("urllib3.util.retry.Retry.increment", ("adapters", "Retry.increment")),
        ("urllib3.util.retry.Retry.sleep", None),
        ("urllib3.PoolManager", None),
        ("requests.utils.quote", None),
        ("requests.utils.requote_uri", ("parsing", "requote_uri")),
        ("requests.utils.cookiejar_from_dict", ("cookies", "cookiejar_from_dict")),
        ("requests.api", ("", "api")),
        ("requests.api.get", ("", "get")),
        ("httpx.get", None),
    ],
)
def test_places(dotted: str, expected: tuple[str, str] | None) -> None:
    assert place(dotted) == expected


def test_what_requests_only_passes_on_comes_from_its_home(rewritten) -> None:
    source = """\
        import requests
        from requests.packages.urllib3.exceptions import InsecureRequestWarning

        requests.packages.urllib3.disable_warnings(InsecureRequestWarning)

        def link(base, path):
            jar = requests.utils.dict_from_cookiejar(requests.Session().cookies)
            return requests.compat.urljoin(base, requests.utils.quote(path)), jar
        """

    assert rewritten(RULE, source) == dedent(
        """\
        from urllib.parse import quote, urljoin

        from bridgekit.integrations import requests
        from urllib3 import disable_warnings
        from urllib3.exceptions import InsecureRequestWarning

        disable_warnings(InsecureRequestWarning)

        def link(base, path):
            jar = requests.parsing.dict_from_cookiejar(requests.Session().cookies)
            return urljoin(base, quote(path)), jar
        """
    )


def test_urllib3_is_declared_when_only_requests_brought_it_along(propose) -> None:
    files = {
        "app.py": "import requests\nimport urllib3\n\nurllib3.disable_warnings()\n",
        "requirements.txt": "requests\n",
    }

    changed = propose(RULE, files).changes["requirements.txt"].decode()
    assert changed.splitlines() == ["httpx>=0.28,<1", "aiohttp>=3.11", "urllib3>=1.26"]


def test_a_subclass_of_retry_moves_with_its_base(rewritten) -> None:
    source = """\
        import requests
        import urllib3

        class Retry(urllib3.Retry):
            def increment(self, *args, **kwargs) -> urllib3.Retry:
                return super().increment(*args, **kwargs)

        def mount(session: requests.Session):
            session.mount("https://", requests.adapters.HTTPAdapter(max_retries=Retry(3)))
        """

    assert rewritten(RULE, source) == dedent(source).replace(
        "import requests\nimport urllib3\n",
        "from bridgekit.integrations import requests\nimport urllib3\n"
        "from bridgekit.integrations.requests.adapters import Retry as bridgekit_Retry\n",
    ).replace("urllib3.Retry", "bridgekit_Retry")


@pytest.mark.parametrize(
    ("base", "method"),
    [
        ("requests.adapters.HTTPAdapter", "cert_verify"),
        ("requests.adapters.HTTPAdapter", "proxy_manager_for"),
        ("requests.Session", "resolve_redirects"),
        ("urllib3.util.retry.Retry", "sleep"),
    ],
)
def test_an_override_that_would_never_be_called_keeps_the_program(
    untouched, found, base: str, method: str
) -> None:
    source = (
        "import requests\nimport requests.adapters\nimport urllib3.util.retry\n\n"
        f"class Own({base}):\n    def {method}(self, *args, **kwargs):\n        pass\n"
    )

    untouched(RULE, source)
    assert found(RULE, source) == [
        (
            "app.py",
            6,
            f"app.Own.{method} overrides what the httpx-based client never calls",
        )
    ]


PROBES_THAT_DIFFER = {
    ".raw": "isinstance(requests.get('u').raw, urllib3.HTTPResponse)",
    "headers None value removes": "requests.get('u', headers={'User-Agent': None})",
}


@pytest.mark.parametrize("name", PROBES_THAT_DIFFER)
def test_what_differs_from_requests_is_refused(untouched, found, name: str) -> None:
    source = f"import requests\nimport urllib3\n\nx = {PROBES_THAT_DIFFER[name]}\n"

    untouched(RULE, source)
    ((_path, line, _reason),) = found(RULE, source)
    assert line == 4


def test_the_other_user_agent_is_told_with_the_step(propose) -> None:
    (told,) = propose(RULE, "import os\nimport requests\n\nrequests.get('u')\n").findings
    assert (told.code, told.path, told.line) == ("BK201", "app.py", 2)
    assert told.reason.startswith("requests without a User-Agent of their own")
    assert told.remedy


@pytest.mark.parametrize(
    "use",
    [
        "isinstance(x, requests.Response)",
        "isinstance(x, (int, requests.exceptions.Timeout))",
        "{'Accept': None}",
        "{'User-Agent': 'me'}",
        "requests.codes['ok'], requests.codes.not_found",
        "requests.Request('GET', 'u').prepare().url",
    ],
)
def test_what_the_shim_has_is_left_as_it_is_written(rewritten, use: str) -> None:
    source = (
        f"import requests\n\ndef f(x: 'requests.Response | None') -> object:\n    return {use}\n"
    )

    assert rewritten(RULE, source) == source.replace(
        "import requests\n", "from bridgekit.integrations import requests\n", 1
    )
