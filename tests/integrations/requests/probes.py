"""The 153 behaviours in which requests was compared with httpx, each under its name.

httpx itself agrees with requests in 65 of them. A probe says what is done and what of the outcome
is compared; `PROBES` has all of them, in the order of the comparison.
"""

from __future__ import annotations

import datetime
import decimal
import io
import json
import pickle
import re
from collections.abc import Callable
from typing import Any

from .faces import Case, Face

PROBES: dict[str, Case] = {}


def probe(name: str) -> Callable[[Case], Case]:
    def add(case: Case) -> Case:
        assert name not in PROBES, name
        PROBES[name] = case
        return case

    return add


def get(name: str, url: Any = "/echo", view: Any = None, **kwargs: Any) -> None:
    send(name, "GET", url, view or status, **kwargs)


def send(name: str, method: str, url: Any, view: Any, **kwargs: Any) -> None:
    async def run(face: Face) -> Any:
        arguments = {key: value() if _is_fresh(value) else value for key, value in kwargs.items()}
        return view(await face.request(method, url, **arguments))

    probe(name)(run)


class Fresh:
    """An argument that is made anew for every run."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __call__(self) -> Any:
        return self.make()


def _is_fresh(value: Any) -> bool:
    return isinstance(value, Fresh)


def plain(value: Any) -> Any:
    """Without the port of the server, which differs from run to run."""
    return re.sub(r"127\.0\.0\.1:\d{2,5}|port=\d{2,5}", "HERE", value)


def status(response: Any) -> Any:
    return response.status_code


def echo(response: Any, *names: str) -> Any:
    seen = response.json()
    return [seen[name] for name in names]


def sent(name: str) -> Callable[[Any], Any]:
    def view(response: Any) -> Any:
        return [v for k, v in response.json()["headers"] if k.lower() == name]

    return view


def path(response: Any) -> Any:
    return response.json()["path"]


def body(response: Any) -> Any:
    """The body as it was received, with what describes it."""
    described = ("content-type", "content-length", "transfer-encoding")
    return echo(response, "body"), [sent(name)(response) for name in described]


def parts(response: Any) -> Any:
    """A multipart body with its boundary masked."""
    text = response.json()["body"]
    return text.replace(text.split("\r\n")[0], "BOUNDARY")


def kind(value: Any) -> str:
    return type(value).__name__


# -- redirects and status ----------------------------------------------------------------------

get("redirect default status", "/redirect/302")
get("redirect opt-in", "/redirect/302", allow_redirects=True)
get("history", "/redirect/302", lambda r: [h.status_code for h in r.history])


@probe("HEAD redirect default")
async def _head(face: Face) -> Any:
    return (await face.head("/redirect/302")).status_code


send("POST 302 -> method", "POST", "/redirect/302", lambda r: echo(r, "method"), data="x")
send(
    "POST 307 -> method,body",
    "POST",
    "/redirect/307",
    lambda r: echo(r, "method", "body"),
    data="x",
)
get("redirect keeps fragment", "/redirect/302?/echo#f", lambda r: plain(r.url))
get("redirect loop", "/loop")


@probe("max redirects default")
async def _max_redirects(face: Face) -> Any:
    return face.session.max_redirects


get(
    "raise_for_status on 302",
    "/redirect/302",
    lambda r: r.raise_for_status(),
    allow_redirects=False,
)
get("raise_for_status returns", view=lambda r: kind(r.raise_for_status()))
get("raise_for_status 404", "/status/404", lambda r: r.raise_for_status())
get("raise_for_status 100-range/204", "/status/204", lambda r: kind(r.raise_for_status()))
get(".ok", view=lambda r: r.ok)
get(".ok on 302 (allow_redirects False)", "/redirect/302", lambda r: r.ok, allow_redirects=False)
get("bool(response 404)", "/status/404", bool)
get("bool(response 200)", view=bool)
get(".reason / reason_phrase", "/status/404", lambda r: r.reason)

# -- attributes of the response ----------------------------------------------------------------

get(".url type", view=lambda r: kind(r.url))


@probe(".url == str")
async def _url_is_text(face: Face) -> Any:
    return (await face.get("/echo")).url == face.full("/echo")


get(".elapsed", view=lambda r: kind(r.elapsed))
get(
    ".encoding no charset text/html",
    "/text/latin-1?text/html",
    lambda r: (r.encoding, r.text),
)
get(
    ".encoding utf8 no charset text/plain",
    "/text/utf-8?text/plain",
    lambda r: (r.encoding, r.text),
)
get(".encoding no content type", "/text/latin-1", lambda r: (r.encoding, r.text))
get(".apparent_encoding", "/text/utf-8?text/plain", lambda r: r.apparent_encoding)
get("json() invalid", "/notjson", lambda r: r.json())


def _value_error(response: Any) -> Any:
    try:
        return response.json()
    except ValueError as error:
        return type(error).__mro__[1].__name__, isinstance(error, json.JSONDecodeError)


get("json() invalid is ValueError", "/notjson", _value_error)
get("json() on 204", "/status/204", lambda r: r.json())
get("json(parse_float=Decimal)", view=lambda r: kind(r.json(parse_float=decimal.Decimal)))
get(".links", "/link", lambda r: r.links)
get(".raw", view=lambda r: (kind(r.raw), r.raw.status, r.raw.headers["content-type"]))
get(
    ".is_redirect/.is_permanent",
    "/redirect/302",
    lambda r: (r.is_redirect, r.is_permanent_redirect),
    allow_redirects=False,
)
get("iter(response) / for chunk in r", "/lines", lambda r: [len(chunk) for chunk in r])


@probe("iter_lines")
async def _lines(face: Face) -> Any:
    return await face.lines(await face.get("/lines"))


@probe("iter_lines(decode_unicode=True)")
async def _unicode_lines(face: Face) -> Any:
    return await face.lines(await face.get("/lines"), decode_unicode=True)


@probe("iter_content")
async def _content(face: Face) -> Any:
    return [kind(chunk) for chunk in await face.chunks(await face.get("/lines"), 1024)]


@probe("iter_content default chunk")
async def _chunks(face: Face) -> Any:
    return len(await face.chunks(await face.get("/lines")))


@probe("stream=True kw")
async def _stream(face: Face) -> Any:
    response = await face.get("/echo", stream=True)
    await face.shut(response)
    return response.status_code


get("gzip auto", "/gzip/one", lambda r: len(r.content))

# -- failures ----------------------------------------------------------------------------------

get("bad gzip", "/gzip/bad", lambda r: len(r.content))
get("conn refused", "http://127.0.0.1:1/")
get("dns", "http://no.such.host.invalid/")
get("server closes", "/disconnect")
get("short body", "/short", lambda r: r.content)
get("read timeout", "/hang", timeout=0.2)
get("timeout tuple (c,r)", timeout=(30, 30))
get("timeout=None default? 6s slow", "/slow/5.5", lambda r: r.text)
get("missing schema", "127.0.0.1/x")
get("bad scheme", "ftp://x/")
get("empty host", "http:///x")
get("url None", None)


@probe("url bytes")
async def _url_bytes(face: Face) -> Any:
    return (await face.get(face.full("/echo").encode())).status_code


# -- parameters --------------------------------------------------------------------------------

for _name, _params in {
    "None value": {"a": None, "b": 1},
    "list": {"a": [1, 2]},
    "empty list": {"a": [], "b": 1},
    "bool": {"a": True, "b": False},
    "str": "a=1&b=2",
    "bytes": b"a=1",
    "tuples": [("a", 1), ("a", 2)],
    "float/Decimal/date": {"a": 1.5, "b": decimal.Decimal("2.5")},
    "date": {"d": datetime.date(2020, 1, 1)},
    "int key": {1: 2},
    "dict val": {"a": {"x": 1}},
    "space/special": {"q": "a b&c/\xfc~[]:@"},
}.items():
    get(f"params {_name}", view=path, params=_params)
get("params merge with existing query", "/echo?x=1", path, params={"y": 2})
get("params empty dict with existing query", "/echo?x=1", path, params={})
get("params None with existing query", "/echo?x=1", path, params=None)
get("path with space/unicode/%", "/echo/a b/\xfc/%2F/%zz", path)
get("path dots", "/echo/../echo", path)

# -- bodies ------------------------------------------------------------------------------------

for _name, _body in {
    "data dict": {"data": {"a": 1, "b": None, "c": [1, 2], "d": True}},
    "data tuples": {"data": [("a", "1"), ("a", "2")]},
    "data str": {"data": "h\xe9"},
    "data bytes": {"data": b"xx"},
    "data json str": {"data": json.dumps({"a": 1})},
    "content str": {"data": "h\xe9 again"},
    "data file obj": {"data": Fresh(lambda: io.BytesIO(b"filedata"))},
    "content file obj": {"data": Fresh(lambda: io.BytesIO(b"more filedata"))},
    "data generator": {"data": Fresh(lambda: (x for x in [b"a", b"b"]))},
    "data empty dict": {"data": {}},
    "post no body": {},
    "json": {"json": {"a": 1, "b": "\xe9", "c": None}},
    "json falsy {}": {"json": {}},
    "json falsy []": {"json": []},
    "json None": {"json": None},
    "json NaN": {"json": {"a": float("nan")}},
    "json+data both": {"json": {"a": 1}, "data": {"b": 2}},
    "json with custom content-type": {
        "json": {"a": 1},
        "headers": {"Content-Type": "application/vnd.x+json"},
    },
}.items():
    send(_name, "POST", "/echo", body, **_body)
for _name, _files in {
    "files BytesIO": {"files": Fresh(lambda: {"f": io.BytesIO(b"x")})},
    "files tuple": {"files": {"f": ("n.txt", b"x", "text/plain")}},
    "files str value": {"files": {"f": "strval"}},
    "files text file": {"files": Fresh(lambda: {"f": io.StringIO("x")})},
    "files tuple None name": {"files": {"f": (None, "v")}},
    "files list of tuples + data": {
        "files": [("f", ("a.txt", b"1")), ("f", ("b.bin", b"2"))],
        "data": {"k": "v", "l": [1, 2]},
    },
}.items():
    send(_name, "POST", "/echo", parts, **_files)
for _name, _mode in {"files real open(rb)": "rb", "files open(r)": "r"}.items():

    async def _open(face: Face, mode: str = _mode) -> Any:
        with open(__file__, mode) as file:  # noqa: ASYNC230  # its contents are the case
            return parts(await face.post("/echo", files={"f": file}))

    probe(_name)(_open)
send("delete with json", "DELETE", "/echo", body, json={"a": 1})
send("get with json", "GET", "/echo", body, json={"a": 1})
send("get with data", "GET", "/echo", body, data={"a": 1})
send("options with json", "OPTIONS", "/echo", body, json={"a": 1})


@probe("request(GET,json)")
async def _request(face: Face) -> Any:
    return body(await face.request("GET", "/echo", json={"a": 1}))


send("method lowercase", "get", "/echo", lambda r: echo(r, "method"))

# -- headers, cookies, authentication ----------------------------------------------------------

get(
    "default headers",
    view=lambda r: [pair for pair in r.json()["headers"] if pair[0] != "Host"],
)
get(
    "headers None value removes",
    view=sent("user-agent"),
    headers={"User-Agent": None},
)
for _name, _headers in {
    "int value": {"X-A": 1},
    "bytes": {b"X-A": b"1"},
    "unicode": {"X-A": "\xe9"},
    "leading space": {"X-A": " v"},
    "newline": {"X-A": "v\nInj: 1"},
}.items():
    get(f"headers {_name}", view=sent("x-a"), headers=_headers)
get(
    "resp.headers type / multi",
    "/cookie",
    lambda r: (kind(r.headers), r.headers["set-cookie"]),
)
get("resp.headers dict()", "/cookie", lambda r: sorted(dict(r.headers))[:3])
get(
    "resp.headers.get case",
    "/text/latin-1?text/html",
    lambda r: r.headers.get("CONTENT-TYPE"),
)
get("cookies per request", view=sent("cookie"), cookies={"a": "1"})


@probe("cookies per request persisted?")
async def _cookies_kept(face: Face) -> Any:
    await face.get("/echo", cookies={"a": "1"})
    return sent("cookie")(await face.get("/echo"))


@probe("session cookie persist")
async def _session_cookies(face: Face) -> Any:
    await face.get("/cookie")
    return sent("cookie")(await face.get("/echo"))


get("cookies.get_dict()", "/cookie", lambda r: r.cookies.get_dict())
get("cookies type/index", "/cookie", lambda r: (kind(r.cookies), r.cookies["a"]))
get(
    "redirect set-cookie visible in final.cookies",
    "/redirect/302",
    lambda r: dict(r.cookies),
)
get("auth tuple", view=sent("authorization"), auth=("u", "p"))
get("auth unicode", view=sent("authorization"), auth=("\xfc", "p"))


@probe("auth in url")
async def _auth_in_url(face: Face) -> Any:
    url = face.full("/echo").replace("http://", "http://u:p%40@")
    return sent("authorization")(await face.get(url))


get(
    "auth callable",
    view=sent("authorization"),
    auth=lambda r: r.headers.__setitem__("Authorization", "X") or r,
)
get("auth list", view=sent("authorization"), auth=["u", "p"])
get("netrc auth", view=sent("authorization"))

# -- sessions ----------------------------------------------------------------------------------


def session(name: str, change: Callable[[Any], Any], view: Any = status, **kwargs: Any) -> None:
    async def run(face: Face) -> Any:
        change(face.session)
        return view(await face.get("/echo", **kwargs))

    probe(name)(run)


session("session.headers.update", lambda s: s.headers.update({"X-S": "1"}), sent("x-s"))
session("session.params", lambda s: s.params.update({"k": "1"}), path)
session(
    "session.params & per-request merge",
    lambda s: setattr(s, "params", {"k": "1"}),
    path,
    params={"k": "2", "z": 3},
)
session("session.auth=", lambda s: setattr(s, "auth", ("u", "p")), sent("authorization"))
session("session.verify=False", lambda s: setattr(s, "verify", False))
session("session.cert=", lambda s: setattr(s, "cert", "x"))
session("session.proxies", lambda s: s.proxies.update({}))


@probe("session.hooks")
async def _hooks(face: Face) -> Any:
    seen: list[int] = []
    face.session.hooks["response"].append(lambda r, *a, **k: seen.append(r.status_code))
    await face.get("/echo")
    return seen


@probe("session.mount")
async def _mount(face: Face) -> Any:
    adapter = face.lib.adapters.HTTPAdapter(max_retries=3)
    face.session.mount("https://", adapter)
    return list(face.session.adapters), adapter.max_retries.total


get("verify per request", verify=False)
get("cert per request", cert=None)
get("proxies per request", proxies={})
get("hooks per request", hooks={})
get("allow_redirects kw", allow_redirects=True)


@probe("with session")
async def _with_session(face: Face) -> Any:
    with face.lib.Session() as opened:
        return kind(opened)


@probe("use after close()")
async def _after_close(face: Face) -> Any:
    await face.close()
    return (await face.get("/echo")).status_code


@probe("use after 2x with")
async def _after_with(face: Face) -> Any:
    face.session.__enter__()
    face.session.__exit__(None, None, None)
    return (await face.get("/echo")).status_code


send("request.body of response", "POST", "/echo", lambda r: r.request.body, data={"a": 1})
get("response.request.url type", view=lambda r: kind(r.request.url))


def _encoding_set(response: Any) -> Any:
    response.encoding = "utf-8"
    return response.text


def _encoding_set_late(response: Any) -> Any:
    return response.text, _encoding_set(response)


get("content-type charset override r.encoding=", "/text/latin-1?text/html", _encoding_set)
get("r.encoding= after .text", "/text/latin-1?text/html", _encoding_set_late)
get("r.close", view=lambda r: r.close())
get("with response", view=lambda r: kind(r.__enter__()))
get("pickle response", view=lambda r: pickle.loads(pickle.dumps(r)).status_code)


@probe("pickle/copy session")
async def _pickled(face: Face) -> Any:
    return kind(pickle.loads(pickle.dumps(face.session)))


@probe("digest auth")
async def _digest(face: Face) -> Any:
    auth = face.lib.auth.HTTPDigestAuth("user", "pass")
    return (await face.get("/digest/MD5", auth=auth)).text


for _name, _code in {
    "ok": "ok",
    "not_found lower": "not_found",
    "teapot": "teapot",
    "unprocessable": "unprocessable",
}.items():

    async def _status_code(face: Face, code: str = _code) -> Any:
        return getattr(face.lib.codes, code)

    probe(f"codes.{_name}")(_status_code)
