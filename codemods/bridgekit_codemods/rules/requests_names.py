"""What the requests shim of bridgekit offers, as a declared table: the rule never imports it.

`place` maps a name of requests or of urllib3's retry machinery to its place in the shim; a name it
does not map is one the shim lacks. A test compares the table with the shim.
"""

from __future__ import annotations

SHIMS = {
    "httpx": "bridgekit.integrations.requests",
    "httpx2": "bridgekit.integrations.requests_httpx2",
}

_EXCEPTIONS = frozenset(
    {
        "RequestException", "InvalidJSONError", "JSONDecodeError", "HTTPError", "ConnectionError",
        "ProxyError", "SSLError", "Timeout", "ConnectTimeout", "ReadTimeout", "URLRequired",
        "TooManyRedirects", "MissingSchema", "InvalidSchema", "InvalidURL", "InvalidHeader",
        "InvalidProxyURL", "ChunkedEncodingError", "ContentDecodingError", "StreamConsumedError",
        "RetryError", "UnrewindableBodyError", "RequestsWarning", "FileModeWarning",
        "RequestsDependencyWarning",
    }
)  # fmt: skip
_TOP_EXCEPTIONS = frozenset(
    {
        "RequestException", "JSONDecodeError", "HTTPError", "ConnectionError", "Timeout",
        "ConnectTimeout", "ReadTimeout", "URLRequired", "TooManyRedirects", "FileModeWarning",
    }
)  # fmt: skip
_API = frozenset({"request", "get", "options", "head", "post", "put", "patch", "delete"})
_MODELS = frozenset({"Request", "PreparedRequest", "Response"})

NAMES: dict[str, frozenset[str]] = {
    "": _API | _MODELS | _TOP_EXCEPTIONS
    | {"Session", "session", "codes", "adapters", "auth", "cookies", "exceptions", "models",
       "sessions", "status_codes", "structures"},
    "exceptions": _EXCEPTIONS,
    "adapters": frozenset({"BaseAdapter", "HTTPAdapter", "Retry", "DEFAULT_POOLSIZE"}),
    "auth": frozenset({"AuthBase", "HTTPBasicAuth", "HTTPDigestAuth", "HTTPProxyAuth"}),
    "cookies": frozenset(
        {
            "CookieConflictError", "RequestsCookieJar", "cookiejar_from_dict", "create_cookie",
            "extract_cookies_to_jar", "get_cookie_header", "merge_cookies", "morsel_to_cookie",
            "remove_cookie_by_name",
        }
    ),
    "models": _MODELS,
    "sessions": frozenset({"Session", "DEFAULT_REDIRECT_LIMIT", "default_headers"}),
    "status_codes": frozenset({"codes"}),
    "structures": frozenset({"CaseInsensitiveDict", "LookupDict"}),
}  # fmt: skip
"""Module of the shim ("" is its top level) to the names it has."""

_RETRY = (
    "urllib3.util.retry",
    "urllib3.util",
    "urllib3",
    "requests.packages.urllib3.util.retry",
    "requests.packages.urllib3.util",
)

LACKING: dict[str, frozenset[str]] = {
    "Session": frozenset({"resolve_redirects"}),
    "HTTPAdapter": frozenset(
        {
            "build_connection_pool_key_attributes", "cert_verify", "get_connection", "poolmanager",
            "get_connection_with_tls_context", "proxy_manager_for", "request_url",
        }
    ),
    "Retry": frozenset(
        {"DEFAULT", "get_retry_after", "increment", "sleep", "sleep_for_retry"}
    ),
}  # fmt: skip
"""Class of the shim to the members of requests' (or urllib3's) class that it lacks."""


def place(dotted: str) -> tuple[str, str] | None:
    """Where the shim has `dotted`: (module of the shim, the rest of the name); None if nowhere.

    "requests.exceptions.Timeout" -> ("exceptions", "Timeout"); "requests.Session.get" ->
    ("", "Session.get"); "urllib3.util.retry.Retry" -> ("adapters", "Retry").
    """
    for module in _RETRY:
        if dotted == f"{module}.Retry" or dotted.startswith(f"{module}.Retry."):
            member = dotted[len(module) + len(".Retry.") :].split(".")[0]
            return None if member in LACKING["Retry"] else ("adapters", dotted[len(module) + 1 :])
    head, _, rest = dotted.partition(".")
    if head != "requests":
        return None
    module = ""
    first, _, tail = rest.partition(".")
    if first == "api" and tail:
        rest = tail
    elif first in NAMES and first and tail:
        module, rest = first, tail
    name, _, member = rest.partition(".")
    if name not in NAMES[module] or member.split(".")[0] in LACKING.get(name, ()):
        return None
    return (module, rest)
