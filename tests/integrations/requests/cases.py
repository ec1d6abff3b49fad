"""The behaviours of requests that programs rely on, one coroutine function each.

`CASES` maps names to cases. What a case returns must be equal for requests and for both faces.
"""

from __future__ import annotations

import asyncio
import datetime
import decimal
import io
import json
import pickle
import re
from typing import Any

from .faces import Case, Face

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function  # type: ignore[attr-defined]
    return function


def simple(name: str, method: str, url: Any, view: Any = None, **kwargs: Any) -> None:
    """Add a case: one request, and what *view* makes of the response."""

    async def run(face: Face) -> Any:
        arguments = {key: make(value) for key, value in kwargs.items()}
        try:
            response = await face.request(method, url, **arguments)
            return (view or whole)(response)
        finally:
            for value in arguments.values():
                if isinstance(value, io.BufferedReader):
                    value.close()

    assert name not in CASES
    CASES[name] = run


class Fresh:
    """An argument that must be made anew for every run (files, generators)."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory


def make(value: Any) -> Any:
    return value.factory() if isinstance(value, Fresh) else value


def plain(pairs: Any) -> dict[str, str]:
    """Echoed request headers without those that name the client or the connection."""
    return {k: v for k, v in pairs if k.lower() not in ("user-agent", "host")}


def whole(response: Any) -> Any:
    """Everything of an echoing response that both sides can see."""
    seen = response.json()
    return (
        response.status_code,
        seen["method"],
        seen["path"],
        plain(seen["headers"]),
        seen["body"],
        _portless(response.url),
    )


def _portless(url: Any) -> Any:
    return re.sub(r":\d{4,5}", ":PORT", url)


def path(response: Any) -> Any:
    return response.json()["path"]


def body(response: Any) -> Any:
    seen = response.json()
    return seen["body"], {k.lower(): v for k, v in plain(seen["headers"]).items()}


def multipart(response: Any) -> Any:
    """Body and headers with the boundary masked."""
    text, headers = body(response)
    boundary = headers["content-type"].partition("boundary=")[2]
    return text.replace(boundary, "B"), headers["content-type"].replace(boundary, "B")


def header(name: str) -> Any:
    def view(response: Any) -> list[str]:
        return [v for k, v in response.json()["headers"] if k.lower() == name]

    return view


def attribute(name: str) -> Any:
    return lambda response: getattr(response, name)


# -- redirects ---------------------------------------------------------------------------------

for _code in (301, 302, 303, 307, 308):
    for _method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        simple(f"redirect_{_code}_{_method}", _method, f"/redirect/{_code}", data="x=1")
    simple(f"redirect_{_code}_HEAD", "HEAD", f"/redirect/{_code}", attribute("status_code"))
simple("redirect_300_is_not_followed", "GET", "/redirect/300", attribute("status_code"))
simple("redirect_304_is_not_followed", "GET", "/status/304", attribute("status_code"))
simple("redirect_keeps_fragment", "GET", "/redirect/302?/echo#f", lambda r: _portless(r.url))
simple("redirect_carries_fragment", "GET", "/redirect/302#g", lambda r: _portless(r.url))
simple("redirect_quotes_target", "GET", "/redirect/302?/a%20b%2Fc", path)
simple("redirect_relative", "GET", "/redirect/302?other", path)
simple("redirect_utf8_location", "GET", "/location-utf8", path)
simple("redirect_loop", "GET", "/loop")
simple("redirect_30_hops", "GET", "/hops/30", lambda r: len(r.history))
simple("redirect_31_hops", "GET", "/hops/31", lambda r: len(r.history))
simple("redirect_to_other_scheme", "GET", "/redirect/302?ftp://x/y")
simple("redirect_to_nowhere", "GET", "/redirect/302?http://127.0.0.1:1/")
simple(
    "redirect_history",
    "GET",
    "/redirect/302?/redirect/301",
    lambda r: [(h.status_code, h.url.rpartition("/")[2], len(h.history)) for h in r.history],
)
simple("redirect_file_body", "POST", "/redirect/307", body, data=Fresh(lambda: io.BytesIO(b"abc")))
simple(
    "redirect_unrewindable", "POST", "/redirect/307", body, data=Fresh(lambda: iter([b"a", b"b"]))
)
simple(
    "redirect_keeps_auth_on_same_host",
    "GET",
    "/redirect/302",
    header("authorization"),
    auth=("u", "p"),
)
simple("redirect_cookies", "GET", "/redirect/302", header("cookie"), cookies={"own": "1"})


@case
async def redirect_max_redirects(face: Face) -> Any:
    face.session.max_redirects = 2
    return len((await face.get("/hops/2")).history), await face.get("/hops/3")


@case
async def redirect_not_allowed(face: Face) -> Any:
    r = await face.get("/redirect/302", allow_redirects=False)
    following = (following_of(r), r.is_redirect, r.is_permanent_redirect)
    return r.status_code, r.ok, r.history, r.text, r.raise_for_status(), following


def following_of(response: Any) -> Any:
    return response.next.method, _portless(response.next.url)


@case
async def redirect_strips_auth_on_other_host(face: Face) -> Any:
    other = face.url.replace("127.0.0.1", "localhost")
    r = await face.get(f"/redirect/302?{other}/echo", auth=("u", "p"), cookies={"c": "1"})
    return header("authorization")(r), header("cookie")(r)


@case
async def redirect_head_opt_in(face: Face) -> Any:
    r = await face.head("/redirect/302", allow_redirects=True)
    return r.status_code, r.request.method, len(r.history), (await face.head("/redirect/302")).ok


# -- responses ---------------------------------------------------------------------------------


@case
async def status_of_404(face: Face) -> Any:
    r = await face.get("/status/404")
    return r.status_code, r.ok, bool(r), r.reason, repr(r), r.text, _raised(r.raise_for_status, r)


def _raised(function: Any, response: Any) -> Any:
    try:
        return function()
    except Exception as error:
        same = getattr(error, "response", None) is response
        return type(error).__name__, _portless(str(error)), same, error.args and len(error.args)


for _status in (200, 201, 204, 304, 400, 401, 418, 500, 503, 599):

    async def _status_case(face: Face, status: int = _status) -> Any:
        r = await face.get(f"/status/{status}")
        return r.status_code, r.ok, bool(r), r.content, _raised(r.raise_for_status, r)

    CASES[f"status_{_status}"] = _status_case


@case
async def own_reason(face: Face) -> Any:
    r = await face.get("/reason")
    return r.reason, _raised(r.raise_for_status, r)


@case
async def types_of_attributes(face: Face) -> Any:
    r = await face.get("/echo?x=1")
    return (
        type(r.url).__name__,
        type(r.request.url).__name__,
        type(r.content).__name__,
        type(r.text).__name__,
        type(r.elapsed).__name__,
        type(r.headers).__name__,
        type(r.cookies).__name__,
        type(r.history).__name__,
        r.url == r.request.url,
        r.url.endswith("/echo?x=1"),
        r.elapsed > datetime.timedelta(0),
    )


@case
async def request_of_response(face: Face) -> Any:
    r = await face.post("/echo?q=1", data={"a": 1}, headers={"X-Mine": "v"})
    sent = r.request
    return (
        sent.method,
        sent.body,
        sent.path_url,
        sent.headers["x-mine"],
        sent.headers["CONTENT-TYPE"],
        repr(sent),
        repr(sent.hooks),
    )


for _kind in (
    "",
    "text/html",
    "text/plain",
    "text/html; charset=utf-8",
    "text/html; charset='latin-1'",
    'application/xml; charset="utf-16"',
    "application/json",
    "application/octet-stream",
    "text/html; charset=nonsense",
):
    for _encoding in ("utf-8", "latin-1"):

        async def _text_case(face: Face, kind: str = _kind, encoding: str = _encoding) -> Any:
            r = await face.request("GET", f"/text/{encoding}?{kind.replace(' ', '%20')}")
            return r.encoding, r.text, r.content

        CASES[f"text_{_encoding}_as_{_kind or 'nothing'}"] = _text_case


@case
async def encoding_assigned(face: Face) -> Any:
    r = await face.get("/text/utf-8?text/plain")
    before, r.encoding = r.text, "utf-8"
    return before, r.text, r.apparent_encoding


for _encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be", "latin-1"):
    if _encoding != "latin-1":
        simple(f"json_in_{_encoding}", "GET", f"/json/{_encoding}", lambda r: r.json())


@case
async def json_arguments(face: Face) -> Any:
    r = await face.get("/echo")
    return type(r.json(object_pairs_hook=list)).__name__


for _kind in ("", "text/html", "application/json"):

    async def _notjson(face: Face, kind: str = _kind) -> Any:
        r = await face.get(f"/notjson?{kind}")
        try:
            r.json()
        except ValueError as error:
            return (
                isinstance(error, face.lib.RequestException),
                isinstance(error, json.JSONDecodeError),
                isinstance(error, face.lib.exceptions.InvalidJSONError),
                isinstance(error, OSError),
                str(error),
                repr(pickle.loads(pickle.dumps(error))),
                error.doc,
            )

    CASES[f"json_of_html_as_{_kind or 'nothing'}"] = _notjson
simple("json_of_204", "GET", "/status/204", lambda r: r.json())
simple("links", "GET", "/link", lambda r: (r.links, list(r.links)))
simple("no_links", "GET", "/echo", lambda r: r.links)


@case
async def response_headers(face: Face) -> Any:
    r = await face.get("/multi")
    keys = [key for key in r.headers if key.lower().startswith("x-")]
    r.headers["x-new"] = "1"
    return (
        keys,
        r.headers["x-multi"],
        r.headers["X-CASE"],
        r.headers.get("no"),
        "x-MULTI" in r.headers,
        r.headers.pop("X-New"),
        dict(r.headers)["X-Case"],
    )


for _what in ("one", "two", "garbage", "bad", "empty"):
    simple(f"gzip_{_what}", "GET", f"/gzip/{_what}", attribute("content"))
simple("deflate_zlib", "GET", "/deflate/zlib", attribute("content"))
simple("deflate_raw", "GET", "/deflate/raw", attribute("content"))
simple("chunked_body", "GET", "/chunked", attribute("content"))
simple("chunked_gzip", "GET", "/chunked-gzip", attribute("content"))
simple("body_until_close", "GET", "/until-close", attribute("content"))
simple("large_header", "GET", "/large-header/20000", lambda r: len(r.headers["X-Large"]))
simple("large_body", "GET", "/bytes/300000", lambda r: (len(r.content), r.content[-3:]))


@case
async def head_has_headers_and_no_body(face: Face) -> Any:
    r = await face.head("/bytes/10")
    return r.status_code, r.headers["Content-Length"], r.content, r.text


@case
async def pickled_response(face: Face) -> Any:
    r = pickle.loads(pickle.dumps(await face.get("/redirect/302")))
    return r.status_code, r.json()["path"], len(r.history), r.ok, r.encoding, _portless(r.url)


@case
async def response_made_by_hand(face: Face) -> Any:
    r = face.lib.Response()
    empty = (r.status_code, r.content, r.headers, r.url, r.encoding, r.history, r.reason)
    r = face.lib.Response()
    r.status_code, r._content, r.url, r.reason = 404, b'{"a": 1}', "http://x/", "Gone"
    other = face.lib.models.Response()
    other.raw, other.status_code = io.BytesIO(b"raw body"), 200
    return empty, r.json(), r.ok, r.text, _raised(r.raise_for_status, r), other.content


# -- streaming ---------------------------------------------------------------------------------


@case
async def stream_chunks(face: Face) -> Any:
    r = await face.get("/bytes/25", stream=True)
    return await face.chunks(r, 10)


@case
async def stream_one_chunk(face: Face) -> Any:
    r = await face.get("/bytes/25", stream=True)
    return await face.chunks(r, None)


@case
async def stream_default_chunk(face: Face) -> Any:
    return await face.chunks(await face.get("/bytes/5", stream=True))


@case
async def stream_gzip(face: Face) -> Any:
    r = await face.get("/gzip/one", stream=True)
    return [len(chunk) for chunk in await face.chunks(r, 300)]


@case
async def stream_of_chunked(face: Face) -> Any:
    r = await face.get("/chunked", stream=True)
    return b"".join(await face.chunks(r, 1024))


@case
async def stream_unicode(face: Face) -> Any:
    r = await face.get("/text/utf-8?text/plain;charset=utf-8", stream=True)
    return await face.chunks(r, 4, decode_unicode=True)


@case
async def stream_unicode_without_encoding(face: Face) -> Any:
    r = await face.get("/bytes/3", stream=True)
    return await face.chunks(r, 2, decode_unicode=True)


@case
async def stream_then_content(face: Face) -> Any:
    r = await face.get("/bytes/25", stream=True)
    return await face.body(r), r.content, await face.chunks(r, 10)


@case
async def stream_consumed_twice(face: Face) -> Any:
    r = await face.get("/bytes/25", stream=True)
    await face.chunks(r, 10)
    return await face.chunks(r, 10)


@case
async def stream_consumed_then_content(face: Face) -> Any:
    r = await face.get("/bytes/25", stream=True)
    await face.chunks(r, 10)
    try:
        return r.content
    except RuntimeError as error:
        return str(error)


@case
async def stream_bad_chunk_size(face: Face) -> Any:
    r = await face.get("/bytes/25", stream=True)
    try:
        await face.chunks(r, "10")
    finally:
        await face.shut(r)


@case
async def stream_closed_early(face: Face) -> Any:
    r = await face.get("/bytes/300000", stream=True)
    await face.shut(r)
    return (await face.get("/echo")).status_code


@case
async def stream_error_in_body(face: Face) -> Any:
    return await face.chunks(await face.get("/short", stream=True), 10)


@case
async def stream_lines(face: Face) -> Any:
    return await face.lines(await face.get("/lines", stream=True))


@case
async def stream_lines_unicode(face: Face) -> Any:
    r = await face.get("/lines", stream=True)
    return await face.lines(r, chunk_size=2, decode_unicode=True)


@case
async def stream_lines_delimiter(face: Face) -> Any:
    return await face.lines(await face.get("/lines", stream=True), delimiter=b"\n")


@case
async def lines_of_read_body(face: Face) -> Any:
    return await face.lines(await face.get("/lines"), chunk_size=3)


@case
async def chunks_of_read_body(face: Face) -> Any:
    r = await face.get("/bytes/25")
    return (
        list(r.iter_content(10)),
        list(r),
        len(list(r.iter_content())),
        list(r.iter_content(None)),
    )


@case
async def with_response(face: Face) -> Any:
    with await face.get("/echo") as r:
        return r.status_code


@case
async def session_stream_default(face: Face) -> Any:
    face.session.stream = True
    r = await face.get("/bytes/3")
    return bool(face.session.stream), r._content_consumed, await face.body(r)


# -- parameters and URLs -----------------------------------------------------------------------

for _name, _params in {
    "none_value": {"a": None, "b": 1},
    "list": {"a": [1, 2]},
    "empty_list": {"a": [], "b": 1},
    "list_with_none": {"a": [1, None]},
    "bool": {"a": True, "b": False},
    "str": "a=1&b=2",
    "bytes": b"a=1",
    "tuples": [("a", 1), ("a", 2)],
    "numbers": {"a": 1.5, "b": decimal.Decimal("2.5")},
    "date": {"d": datetime.date(2020, 1, 1)},
    "int_key": {1: 2},
    "dict_value": {"a": {"x": 1, "y": 2}},
    "special": {"q": "a b&c/\xfc~[]:@+%"},
    "empty": {},
    "none": None,
    "empty_string": {"a": ""},
    "bytes_value": {"a": b"\xff"},
}.items():
    simple(f"params_{_name}", "GET", "/echo", path, params=_params)
    simple(f"params_{_name}_with_query", "GET", "/echo?x=1", path, params=_params)
simple("params_with_fragment", "GET", "/echo?x=1#frag", whole, params={"y": 2})
simple("params_bad", "GET", "/echo", path, params=5)
for _name, _url in {
    "unicode": "/echo/a b/\xfc/%2F/%zz",
    "dots": "/echo/../echo/./x/..",
    "double_slash": "/echo//x",
    "semicolon": "/echo;a=1?b;c",
    "quotes": "/echo/'\"<>{}|^`?'\"<>{}|^`",
    "brackets": "/echo/[x]?a[]=1",
    "escaped_unreserved": "/echo/%7Ea%41%2f",
    "lower_case_escape": "/echo/%c3%bc?%c3%bc",
    "plus": "/a+b?c+d",
    "empty_query": "/echo?",
    "backslash": "/echo\\x",
    "at": "/echo/@user:x",
    "percent": "/echo/100%",
}.items():
    simple(f"url_{_name}", "GET", _url, lambda r: (path(r), _portless(r.url)))
for _name, _url in {
    "without_scheme": "127.0.0.1/x",
    "without_scheme_or_path": "example",
    "of_other_scheme": "ftp://x/",
    "of_mail": "mailto:me@example.org",
    "with_typo": "htp://x/",
    "without_host": "http:///x",
    "with_empty_host": "http://",
    "none": None,
    "empty": "",
    "with_bad_port": "http://127.0.0.1:port/",
    "with_large_port": "http://127.0.0.1:99999/",
    "with_star": "http://*x.test/",
    "with_dot": "http://.x.test/",
    "with_space": "http://a b/",
    "with_bad_ipv6": "http://[::z]/",
    "with_bad_label": "http://\u2603\u2603\x00.test/",
}.items():
    simple(f"url_{_name}", "GET", _url)


@case
async def url_as_bytes(face: Face) -> Any:
    return path(await face.get(face.full("/echo").encode()))


@case
async def url_as_object(face: Face) -> Any:
    class Where:
        def __str__(self) -> str:
            return face.full("/echo")

    return path(await face.get(Where()))


@case
async def url_upper_case(face: Face) -> Any:
    r = await face.get("  " + face.full("/Echo").replace("http", "HTTP"))
    return path(r), _portless(r.url)


# -- bodies ------------------------------------------------------------------------------------

for _name, _data in {
    "dict": {"a": 1, "b": None, "c": [1, 2], "d": True, "e": "\xfc &"},
    "tuples": [("a", "1"), ("b", "2"), ("a", "3")],
    "tuple_of_tuples": (("a", "1"), ("a", "2")),
    "str": "h\xe9",
    "bytes": b"\x00\xff",
    "empty_dict": {},
    "empty_str": "",
    "none": None,
    "int": 5,
    "file": Fresh(lambda: io.BytesIO(b"filedata")),
    "empty_file": Fresh(lambda: io.BytesIO(b"")),
    "text_file": Fresh(lambda: io.StringIO("text")),
    "generator": Fresh(lambda: (x for x in [b"a", b"", b"b"])),
    "bytearray": bytearray(b"abc"),
    "large": b"x" * 300_000,
    "large_file": Fresh(lambda: io.BytesIO(b"y" * 300_000)),
    "own_file": Fresh(lambda: open(__file__, "rb")),  # noqa: SIM115
}.items():
    simple(f"data_{_name}", "POST", "/echo", body, data=_data)


@case
async def data_partly_read_file(face: Face) -> Any:
    source = io.BytesIO(b"0123456789")
    source.seek(4)
    return body(await face.post("/echo", data=source))


for _name, _value in {
    "object": {"a": 1, "b": "\xe9", "c": None},
    "empty_object": {},
    "empty_list": [],
    "zero": 0,
    "false": False,
    "string": "x",
    "none": None,
    "nan": {"a": float("nan")},
    "unserialisable": {1, 2},
}.items():
    simple(f"json_{_name}", "POST", "/echo", body, json=_value)
simple("json_and_data", "POST", "/echo", body, json={"a": 1}, data={"b": 2})
simple("json_and_empty_data", "POST", "/echo", body, json={"a": 1}, data={})
simple("json_own_type", "POST", "/echo", body, json={}, headers={"content-type": "a/b"})
for _method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", "PURGE"):
    if _method not in ("HEAD", "PURGE"):
        simple(f"method_{_method}", _method, "/echo", whole)
        simple(f"method_{_method}_with_json", _method, "/echo", whole, json={"a": 1})
        simple(f"method_{_method}_with_data", _method, "/echo", whole, data={"a": 1})
simple("method_unknown_to_server", "PURGE", "/echo", attribute("status_code"))
for _name, _files, _data in (
    ("bytesio", {"f": Fresh(lambda: io.BytesIO(b"x"))}, None),
    ("tuple", {"f": ("n.txt", b"x", "text/plain")}, None),
    ("tuple_headers", {"f": ("n.txt", b"x", "text/plain", {"X-H": "1"})}, None),
    ("own_type", {"f": ("n.txt", b"x", None, {"Content-Type": "a/b"})}, None),
    ("own_type_beside", {"f": ("n.txt", b"x", "text/plain", {"Content-Type": "a/b"})}, None),
    ("own_type_lower", {"f": ("n.txt", b"x", None, {"content-type": "a/b"})}, None),
    ("own_type_empty", {"f": ("n.txt", b"x", "", {"X-Empty": "", "X-None": None})}, None),
    ("own_location", {"f": ("n.txt", b"x", None, {"Content-Location": "/a", "X-H": "1"})}, None),
    ("own_disposition", {"f": ("n.txt", b"x", None, {"Content-Disposition": "inline"})}, None),
    ("own_order", {"f": ("n.txt", b"x", "a/b", {"Z": "1", "Content-ID": "2", "A": "3"})}, None),
    ("own_unicode", {"f": ("n.txt", b"x", None, {"X-Name": "\xfc\u20ac"})}, None),
    ("own_pairs", {"f": ("n.txt", b"x", None, [("X-A", "1"), ("X-B", "2")])}, None),
    ("three_and_more", {"f": ("n.txt", b"x", "a/b", {}, "more")}, None),
    ("one", {"f": ("n.txt",)}, None),
    ("str", {"f": "value"}, None),
    ("bytes", {"f": b"\xff\x00"}, None),
    ("text_file", {"f": Fresh(lambda: io.StringIO("x"))}, None),
    ("no_name", {"f": (None, "v")}, None),
    ("none", {"f": None, "g": "x"}, None),
    ("unicode_name", {"f\xfc": ('n"\xfc\n.txt', b"x")}, None),
    ("list", [("f", ("a.txt", b"1")), ("f", ("b.bin", b"2"))], {"k": "v", "l": [1, None, 2]}),
    ("data_tuples", {"f": "x"}, [("a", 1), ("a", b"2")]),
    ("data_str", {"f": "x"}, "a=1"),
    ("own_file", {"f": Fresh(lambda: open(__file__, "rb"))}, None),  # noqa: SIM115
    ("empty", {}, {"a": 1}),
):

    async def _files_case(face: Face, files: Any = _files, data: Any = _data) -> Any:
        if isinstance(files, dict):
            files = {name: make(value) for name, value in files.items()}
        try:
            r = await face.post("/echo", files=files, data=data)
        finally:
            for value in files.values() if isinstance(files, dict) else ():
                if isinstance(value, io.BufferedReader):
                    value.close()
        return multipart(r) if files else body(r)

    CASES[f"files_{_name}"] = _files_case

# -- headers, cookies, authentication ----------------------------------------------------------

simple("headers_default", "GET", "/echo", whole)
for _name, _headers in {
    "removed": {"Accept": None, "accept-encoding": None},
    "int": {"X-A": 1},
    "bytes": {b"X-A": b"1"},
    "bytes_value": {"X-A": b"1"},
    "latin1": {"X-A": "\xe9"},
    "latin1_bytes": {"X-A": b"\xe9"},
    "not_latin1": {"X-A": "\u20ac"},
    "space": {"X-A": " v"},
    "newline": {"X-A": "v\nInjected: 1"},
    "bad_name": {"X A:": "v"},
    "empty": {"X-A": ""},
    "case": {"x-MiXeD": "v"},
    "host": {"Host": "other.test"},
    "connection": {"Connection": "close"},
    "content_length": {"Content-Length": "0"},
    "expect": {"Expect": "100-continue"},
    "own_agent": {"user-agent": "me/1"},
}.items():
    simple(f"headers_{_name}", "GET", "/echo", whole, headers=_headers)
simple("header_agent", "GET", "/echo", header("user-agent"), headers={"User-Agent": "me/1"})
simple("cookies_dict", "GET", "/echo", header("cookie"), cookies={"a": "1", "b": "x y"})
simple(
    "cookies_and_header",
    "GET",
    "/echo",
    header("cookie"),
    cookies={"a": "1"},
    headers={"Cookie": "z=9"},
)
simple("auth_pair", "GET", "/basic", attribute("text"), auth=("u", "p"))
simple("auth_latin1", "GET", "/basic", attribute("text"), auth=("\xfc", "p"))
simple(
    "auth_callable",
    "GET",
    "/basic",
    attribute("text"),
    auth=lambda r: r.headers.update(Authorization="X") or r,
)
simple("auth_list", "GET", "/basic", attribute("text"), auth=["u", "p"])
simple("auth_missing", "GET", "/basic", lambda r: (r.status_code, r.ok))
simple("auth_numbers", "GET", "/basic", attribute("text"), auth=(b"u", b"p"))


@case
async def cookies_per_request_are_not_kept(face: Face) -> Any:
    first = header("cookie")(await face.get("/echo", cookies={"a": "1"}))
    return first, header("cookie")(await face.get("/echo")), face.session.cookies.get_dict()


@case
async def cookies_of_session(face: Face) -> Any:
    r = await face.get("/cookie")
    jar = face.session.cookies
    return (
        r.cookies.get_dict(),
        r.cookies["a"],
        dict(r.cookies),
        r.headers["set-cookie"],
        header("cookie")(await face.get("/echo")),
        sorted(jar.keys()),
        "a" in jar,
        jar.get("nope", "default"),
        len(jar),
        [(c.name, c.domain, c.path) for c in jar],
    )


@case
async def cookies_by_path(face: Face) -> Any:
    await face.get("/cookie-path")
    paths = [header("cookie")(await face.get(where)) for where in ("/echo", "/only/x")]
    return paths, face.session.cookies.get_dict()


@case
async def cookies_expire(face: Face) -> Any:
    await face.get("/cookie")
    await face.get("/uncookie")
    return face.session.cookies.get_dict()


@case
async def cookies_set_by_hand(face: Face) -> Any:
    jar = face.session.cookies
    jar.set("s", "1", domain="other.test")
    jar.set("t", "2", path="/echo")
    jar["u"] = "3"
    jar.update({"v": "4"})
    sent = header("cookie")(await face.get("/echo"))
    del jar["u"]
    jar.clear(domain="other.test")
    return sent, jar.get_dict(), jar.list_paths(), jar.list_domains(), jar.multiple_domains()


@case
async def cookies_conflict(face: Face) -> Any:
    jar = face.session.cookies
    jar.set("a", "1", path="/x")
    jar.set("a", "2", path="/y")
    return jar.get("a", path="/x"), jar["a"]


@case
async def cookies_assigned(face: Face) -> Any:
    face.session.cookies = face.lib.cookies.cookiejar_from_dict({"a": "1"})
    jar = face.session.cookies.copy()
    jar["b"] = "2"
    return header("cookie")(await face.get("/echo", cookies=jar)), pickle.loads(
        pickle.dumps(jar)
    ).get_dict()


@case
async def auth_in_url(face: Face) -> Any:
    r = await face.get(face.full("/basic").replace("http://", "http://u:p%40@"))
    return r.text, "u:p%40@" in r.url


@case
async def auth_basic_object(face: Face) -> Any:
    basic = face.lib.auth.HTTPBasicAuth("u", "p")
    face.session.auth = basic
    mine = header("proxy-authorization")
    proxy = await face.get("/echo", auth=face.lib.auth.HTTPProxyAuth("a", "b"))
    return (
        (await face.get("/basic")).text,
        mine(proxy),
        basic == face.lib.auth.HTTPBasicAuth("u", "p"),
    )


@case
async def auth_own_class(face: Face) -> Any:
    class Token(face.lib.auth.AuthBase):  # type: ignore[misc,name-defined]
        def __call__(self, r: Any) -> Any:
            r.headers["X-Token"] = f"{r.method} {r.path_url} {r.body!r}"
            r.body = b"signed"
            return r

    r = await face.post("/echo?a=1", json={"a": 1}, auth=Token())
    return header("x-token")(r), body(r)


for _algorithm in ("MD5", "SHA-256"):

    async def _digest(face: Face, algorithm: str = _algorithm) -> Any:
        auth = face.lib.auth.HTTPDigestAuth("user", "pass")
        first = await face.get(f"/digest/{algorithm}?a=1", auth=auth)
        second = await face.post(f"/digest/{algorithm}", auth=auth, data=b"x")
        wrong = face.lib.auth.HTTPDigestAuth("user", "wrong")
        third = await face.get(f"/digest/{algorithm}", auth=wrong)
        return [
            (r.status_code, r.text, [h.status_code for h in r.history])
            for r in (first, second, third)
        ]

    CASES[f"auth_digest_{_algorithm}"] = _digest

# -- sessions ----------------------------------------------------------------------------------


@case
async def session_headers(face: Face) -> Any:
    face.session.headers.update({"X-S": "1", "X-T": "1"})
    face.session.headers["accept"] = "a/b"
    del face.session.headers["Accept-Encoding"]
    r = await face.get("/echo", headers={"x-s": "2", "X-T": None})
    return whole(r), sorted(face.session.headers)


@case
async def session_headers_assigned(face: Face) -> Any:
    face.session.headers = {"X-Only": "1"}
    return (await face.get("/echo")).json()["headers"][-1], face.session.headers


@case
async def session_params(face: Face) -> Any:
    face.session.params.update({"k": 1, "l": 2})
    first = path(await face.get("/echo", params={"k": 3, "l": None, "m": 4}))
    face.session.params = {"n": 1}
    return first, path(await face.get("/echo?q=1")), path(await face.get("/echo", params="z=1"))


@case
async def session_auth(face: Face) -> Any:
    face.session.auth = ("u", "p")
    r = await face.get("/basic", auth=("x", "y"))
    return (await face.get("/basic")).text, r.text


@case
async def session_after_close(face: Face) -> Any:
    await face.get("/echo")
    await face.close()
    return (await face.get("/echo")).status_code


@case
async def session_defaults(face: Face) -> Any:
    s = face.session
    return (
        s.max_redirects,
        s.trust_env,
        s.verify,
        s.cert,
        s.proxies,
        s.params,
        s.auth,
        s.hooks,
        bool(s.stream),
        list(s.adapters),
        {k: v for k, v in s.headers.items() if k != "User-Agent"},
    )


@case
async def session_pickled(face: Face) -> Any:
    s = face.session
    s.headers["X-S"] = "1"
    s.cookies.set("c", "1")
    s.verify = False
    copy = pickle.loads(pickle.dumps(s))
    return copy.headers["x-s"], copy.cookies.get_dict(), copy.verify, list(copy.adapters)


@case
async def session_mount(face: Face) -> Any:
    adapter = face.lib.adapters.HTTPAdapter()
    face.session.mount("http://127", adapter)
    face.session.mount("http://127.0.0.1/x", face.lib.adapters.HTTPAdapter())
    found = face.session.get_adapter(face.url) is adapter
    return list(face.session.adapters), found, (await face.get("/echo")).status_code


@case
async def session_prepare_and_send(face: Face) -> Any:
    face.session.headers["X-S"] = "1"
    request = face.lib.Request("post", face.full("/echo"), data={"a": 1}, params={"q": 1})
    prepared = face.session.prepare_request(request)
    prepared.headers["X-P"] = "2"
    prepared.body = b"changed"
    prepared.headers["Content-Length"] = "7"
    r = await face.send(prepared)
    return whole(r), request.prepare().headers, repr(request)


@case
async def session_send_unprepared(face: Face) -> Any:
    return await face.send(face.lib.Request("GET", face.full("/echo")))


@case
async def hooks_of_session_and_request(face: Face) -> Any:
    seen: list[Any] = []

    def note(response: Any, *args: Any, **kwargs: Any) -> None:
        seen.append((response.status_code, response.text[:5], sorted(kwargs)))

    face.session.hooks["response"].append(note)
    await face.get("/redirect/302")
    await face.get("/status/404", hooks={"response": [lambda r, **k: seen.append("own")]})
    return seen


@case
async def hooks_replace_response(face: Face) -> Any:
    def replace(response: Any, **kwargs: Any) -> Any:
        response.replaced = True
        return response

    def fail(response: Any, **kwargs: Any) -> None:
        response.raise_for_status()

    r = await face.get("/echo", hooks={"response": replace})
    return r.replaced, await face.get("/status/500", hooks={"response": fail})


@case
async def hooks_unknown(face: Face) -> Any:
    return await face.get("/echo", hooks={"nope": print})


@case
async def unknown_keyword(face: Face) -> Any:
    return await face.get("/echo", nope=1)


@case
async def module_functions(face: Face) -> Any:
    verbs = ("get", "post", "put", "patch", "delete", "options")
    seen = [(await face.module(verb, "/echo")).json()["method"] for verb in verbs]
    head = await face.module("head", "/redirect/302")
    own = await face.module("request", "get", face.full("/echo")) if False else None
    return seen, head.status_code, own


@case
async def module_functions_keep_no_cookies(face: Face) -> Any:
    await face.module("get", "/cookie")
    r = await face.module("get", "/redirect/302?/echo")
    return header("cookie")(r), header("cookie")(await face.module("get", "/echo"))


@case
async def module_post_arguments(face: Face) -> Any:
    r = await face.module("post", "/echo", {"a": 1}, None, headers={"X-A": "1"}, params={"b": 2})
    return whole(r)


# -- retries -----------------------------------------------------------------------------------


def _adapter(face: Face, **options: Any) -> None:
    retry: Any
    if face.lib.__name__ == "requests":
        from urllib3.util.retry import Retry

        retry = Retry
    else:
        retry = face.lib.adapters.Retry
    adapter = face.lib.adapters.HTTPAdapter(max_retries=retry(**options))
    face.session.mount("http://", adapter)


def _key(face: Face, kind: str, name: str) -> str:
    return f"/flaky/{kind}/{name}/{face.lib.__name__}/{face.asynchronous}"


async def _attempts(face: Face, flaky: str) -> Any:
    return (await face.get(f"/count/x?{flaky.removeprefix('/flaky/')}")).text


for _name, _kind, _failures, _verb, _options in (
    ("status", "503", 2, "GET", {"total": 3, "status_forcelist": [503]}),
    ("status_exhausted", "503", 9, "GET", {"total": 2, "status_forcelist": [503]}),
    ("status_not_raised", "503", 9, "GET",
     {"total": 2, "status_forcelist": [503], "raise_on_status": False}),
    ("status_of_post", "503", 1, "POST", {"total": 3, "status_forcelist": [503]}),
    ("status_of_post_allowed", "503", 1, "POST",
     {"total": 3, "status_forcelist": [503], "allowed_methods": None}),
    ("status_not_listed", "500", 1, "GET", {"total": 3, "status_forcelist": [503]}),
    ("status_counted", "503", 9, "GET", {"total": 9, "status": 1, "status_forcelist": [503]}),
    ("retry_after", "after", 1, "GET", {"total": 3}),
    ("retry_after_ignored", "after", 1, "GET",
     {"total": 3, "respect_retry_after_header": False}),
    ("disconnect", "disconnect", 2, "GET", {"total": 3}),
    ("disconnect_exhausted", "disconnect", 9, "GET", {"total": 2}),
    ("disconnect_of_post", "disconnect", 1, "POST", {"total": 3}),
    ("disconnect_read_off", "disconnect", 1, "GET", {"total": 3, "read": False}),
    ("disconnect_read_counted", "disconnect", 9, "GET", {"total": 9, "read": 1}),
):  # fmt: skip

    async def _retry(
        face: Face,
        name: str = _name,
        kind: str = _kind,
        failures: int = _failures,
        verb: str = _verb,
        options: Any = _options,
    ) -> Any:
        _adapter(face, **options)
        url = _key(face, kind, name)
        try:
            r = await face.request(verb, f"{url}?{failures}", data=b"x")
            result: Any = (r.status_code, r.text)
        except Exception as error:
            result = type(error).__name__
        return result, await _attempts(face, url)

    CASES[f"retry_{_name}"] = _retry


@case
async def retry_count(face: Face) -> Any:
    face.session.mount("http://", face.lib.adapters.HTTPAdapter(max_retries=2))
    url = _key(face, "disconnect", "count")
    return (await face.get(f"{url}?2")).text


@case
async def retry_file_body(face: Face) -> Any:
    _adapter(face, total=3, status_forcelist=[503], allowed_methods=None)
    url = _key(face, "503", "file")
    r = await face.post(f"{url}?1", data=io.BytesIO(b"abc"))
    return r.text, r.request.body.tell()


@case
async def retry_connect(face: Face) -> Any:
    _adapter(face, total=2)
    return await face.get("http://127.0.0.1:1/")


# -- failures ----------------------------------------------------------------------------------

simple("error_refused", "GET", "http://127.0.0.1:1/")
simple("error_name", "GET", "http://no.such.host.invalid/")
simple("error_disconnect", "GET", "/disconnect")
simple("error_nonsense", "GET", "/nonsense")
simple("error_short_body", "GET", "/short")
simple("error_short_chunks", "GET", "/chunked-short")
simple("error_read_timeout", "GET", "/hang", timeout=1)  # long enough to connect
simple("error_read_timeout_pair", "GET", "/hang", timeout=(30, 0.05))
simple("error_timeout_in_body", "GET", "/hang-body", timeout=(30, 1))  # after the head
simple("error_timeout_triple", "GET", "/echo", timeout=(1, 2, 3))
simple("error_timeout_zero", "GET", "/echo", timeout=0)
simple("error_timeout_string", "GET", "/echo", timeout="soon")
simple("error_tls_to_plain", "GET", "https://127.0.0.1:1/")
simple("timeout_pair", "GET", "/echo", path, timeout=(30, 30))
simple("timeout_none", "GET", "/echo", path, timeout=None)
simple("timeout_pair_none", "GET", "/echo", path, timeout=(None, 30))
simple("error_proxy_refused", "GET", "http://x.test/", proxies={"http": "http://127.0.0.1:1"})
simple("error_proxy_url", "GET", "http://x.test/", proxies={"http": "http://"})
simple("verify_false_on_http", "GET", "/echo", path, verify=False)
simple("verify_path_on_http", "GET", "/echo", path, verify="/no/such/file")
simple("verify_missing_file", "GET", "https://127.0.0.1:1/", verify="/no/such/file")
simple("cert_missing_file", "GET", "https://127.0.0.1:1/", cert="/no/such/file")


@case
async def error_tls_handshake(face: Face) -> Any:
    return await face.get(face.url.replace("http://", "https://"))


@case
async def proxy_gets_absolute_url(face: Face) -> Any:
    r = await face.get("http://x.test:81/a?b=1", proxies={"http": face.url})
    return whole(r), header("host")(r)


@case
async def proxy_of_session_with_credentials(face: Face) -> Any:
    face.session.proxies = {"http": face.url.replace("http://", "http://u:p@")}
    r = await face.get("http://x.test/a")
    return header("proxy-authorization")(r)


@case
async def codes(face: Face) -> Any:
    c = face.lib.codes
    return c.ok, c.not_found, c["teapot"], c.unprocessable, c.NOT_FOUND, c["nope"], c.get("\\o/")


@case
async def structures(face: Face) -> Any:
    d = face.lib.structures.CaseInsensitiveDict({"A": 1}, b=2)
    d["a"] = 3
    return list(d), dict(d), d == {"B": 2, "a": 3}, repr(d), d.copy() == d, list(d.lower_items())


@case
async def concurrent_requests(face: Face) -> Any:
    if face.asynchronous:
        responses = await asyncio.gather(*(face.get(f"/echo/{i}") for i in range(40)))
    else:
        responses = [await face.get(f"/echo/{i}") for i in range(40)]
    return [path(r) for r in responses]
