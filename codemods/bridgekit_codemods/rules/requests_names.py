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
    | {"Session", "session", "codes", "adapters", "api", "auth", "cookies", "exceptions",
       "models", "sessions", "status_codes", "structures"},
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
    "parsing": frozenset(
        {
            "add_dict_to_cookiejar", "dict_from_cookiejar", "get_auth_from_url",
            "get_encoding_from_headers", "get_environ_proxies", "get_netrc_auth",
            "guess_json_utf", "parse_dict_header", "parse_header_links", "parse_list_header",
            "requote_uri", "select_proxy", "should_bypass_proxies", "to_key_val_list",
            "unquote_header_value", "unquote_unreserved", "urldefragauth",
        }
    ),
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
    "Retry": frozenset({"DEFAULT", "get_retry_after", "sleep", "sleep_for_retry"}),
}  # fmt: skip
"""Class of the shim to the members of requests' (or urllib3's) class that it lacks.

An override of one of them would never be called."""

_URLLIB_PARSE = frozenset(
    {
        "quote", "quote_plus", "unquote", "unquote_plus", "urldefrag", "urlencode", "urljoin",
        "urlparse", "urlsplit", "urlunparse",
    }
)  # fmt: skip
_COMPAT = {
    "Callable": "collections.abc",
    "JSONDecodeError": "json",
    "Mapping": "collections.abc",
    "Morsel": "http.cookies",
    "MutableMapping": "collections.abc",
    "OrderedDict": "collections",
    "StringIO": "io",
    "getproxies": "urllib.request",
    "getproxies_environment": "urllib.request",
    "parse_http_list": "urllib.request",
    "proxy_bypass": "urllib.request",
    "proxy_bypass_environment": "urllib.request",
} | dict.fromkeys(_URLLIB_PARSE, "urllib.parse")
_UTILS = dict.fromkeys(("quote", "unquote", "urlparse", "urlunparse"), "urllib.parse") | {
    "OrderedDict": "collections",
    "parse_http_list": "urllib.request",
}
_COOKIES = ("cookiejar_from_dict",)
_URLLIB3 = frozenset({"exceptions", "util", "util.retry", "util.timeout", "util.url"})
_PACKED = "requests.packages."


def place_elsewhere(dotted: str) -> tuple[str, str] | None:
    """Where something that requests only passes on comes from: (module, name); None if nowhere.

    "requests.compat.urljoin" -> ("urllib.parse", "urljoin");
    "requests.packages.urllib3.disable_warnings" -> ("urllib3", "disable_warnings"). Only the name
    itself is known, not what follows it.
    """
    if dotted.startswith(f"{_PACKED}urllib3.") and place(dotted) is None:
        module, _, name = dotted.removeprefix(_PACKED).rpartition(".")
        inner = module.partition(".")[2]
        if ".".join(filter(None, (inner, name))) in _URLLIB3 or (inner and inner not in _URLLIB3):
            return None
        return (module, name)
    for prefix, known in (("requests.compat.", _COMPAT), ("requests.utils.", _UTILS)):
        name = dotted.removeprefix(prefix)
        if name != dotted and name in known:
            return (known[name], name)
    return None


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
    elif first == "utils":
        module = "cookies" if tail.split(".")[0] in _COOKIES else "parsing"
        rest = tail
    elif first in NAMES and first and tail:
        module, rest = first, tail
    name, _, member = rest.partition(".")
    if name not in NAMES[module] or member.split(".")[0] in LACKING.get(name, ()):
        return None
    return (module, rest)
