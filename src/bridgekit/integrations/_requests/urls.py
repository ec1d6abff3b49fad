"""URLs as requests and urllib3 treat them: normalisation, parameters, wire targets.

Everything is pure; parsing is cached because a program calls few distinct hosts and paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote, urlencode, urlsplit, urlunparse

_SCHEME = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+-]*:|/)")
_URI = re.compile(
    r"(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^\\/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?",
    re.DOTALL,
)
_HOST_PORT = re.compile(
    r"((?:[^\[\]%:/?#]|%[a-fA-F0-9]{2})*|\[[^\[\]]*\])(?::0*?(|0|[1-9][0-9]{0,4}))?", re.DOTALL
)
_IPV4 = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]+|[0-9]+)){0,3}")
_HOST_INVALID = re.compile(r"[\x00-\x20\x7f]")
_PERCENT = re.compile(r"%[a-fA-F0-9]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~")
_USERINFO = _UNRESERVED | frozenset("!$&'()*+,;=:")
_PATH = _USERINFO | frozenset("@/")
_QUERY = _PATH | frozenset("?")
DEFAULT_PORTS = {"http": 80, "https": 443}


class BadURL(ValueError):
    """The URL cannot be parsed; callers turn it into their own InvalidURL."""


class Parts(NamedTuple):
    scheme: str | None
    auth: str | None
    host: str | None
    port: int | None
    path: str | None
    query: str | None
    fragment: str | None


class Location(NamedTuple):
    """Where a prepared URL goes: no credentials, no fragment, the target percent-encoded."""

    scheme: str
    host: str
    port: int | None
    target: str
    host_header: str


def _encode(component: str, allowed: frozenset[str]) -> str:
    """Percent-encode what is not *allowed*; keep escapes only if every ``%`` starts one."""
    if component.isascii() and "%" not in component and allowed.issuperset(component):
        return component
    component, escapes = _PERCENT.subn(lambda m: m.group(0).upper(), component)
    data = component.encode("utf-8", "surrogatepass")
    keep_percent = escapes == data.count(b"%")
    return "".join(
        chr(b) if (b == 0x25 and keep_percent) or (b < 128 and chr(b) in allowed) else f"%{b:02X}"
        for b in data
    )


def _remove_dot_segments(path: str) -> str:
    output: list[str] = []
    for segment in path.split("/"):
        if segment == ".":
            continue
        if segment != "..":
            output.append(segment)
        elif output:
            output.pop()
    if path.startswith("/") and (not output or output[0]):
        output.insert(0, "")
    if path.endswith(("/.", "/..")):
        output.append("")
    return "/".join(output)


def _idna(label: str, *, uts46: bool) -> str:
    import idna  # a dependency of both HTTP libraries

    try:
        if uts46:
            return idna.encode(label, uts46=True).decode("ascii")
        return idna.encode(label.lower(), strict=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        raise BadURL(f"Name '{label}' is not a valid IDNA label") from None


def _normalise_host(host: str, scheme: str | None) -> str:
    invalid = _HOST_INVALID.search(host)
    if invalid:
        raise BadURL(f"Host {host!r} contains invalid character {invalid.group()!r}")
    if scheme not in ("http", "https", None):
        return host
    if host.startswith("["):
        address, percent, zone = host[1:-1].partition("%")
        try:
            IPv6Address(address)
        except ValueError:
            raise BadURL(f"{host!r} is not a valid host or port") from None
        if percent:
            zone = zone[2:] if zone.startswith("25") and zone != "25" else zone
            return f"[{address.lower()}%{_encode(zone, _UNRESERVED)}]"
        return f"[{address.lower()}]"
    if _IPV4.fullmatch(host):
        return host
    labels = [
        label.lower() if label.isascii() else _idna(label, uts46=False) for label in host.split(".")
    ]
    return _PERCENT.sub(lambda m: m.group(0).upper(), ".".join(labels))


@lru_cache(maxsize=1024)
def parse_url(url: str) -> Parts:
    """Split and normalise *url* by RFC 3986 as urllib3 does. Raises BadURL."""
    if not url:
        return Parts(None, None, None, None, None, None, None)
    if not _SCHEME.match(url):
        url = "//" + url
    match = _URI.fullmatch(url)
    if match is None:
        raise BadURL(f"Failed to parse: {url}")
    scheme, authority, path, query, fragment = match.groups()
    scheme = scheme.lower() if scheme else scheme
    normal = scheme in ("http", "https", None)
    auth: str | None = None
    host: str | None = None
    port: int | None = None
    if authority:
        raw_auth, _, host_port = authority.rpartition("@")
        auth = raw_auth or None
        found = _HOST_PORT.fullmatch(host_port)
        if found is None:
            raise BadURL(f"Failed to parse: {url!r}: {host_port!r} is not a valid host or port")
        host = found.group(1)
        if auth and normal:
            auth = _encode(auth, _USERINFO)
        if found.group(2):
            port = int(found.group(2))
            if port > 65535:
                raise BadURL(f"Failed to parse: {url}")
        host = _normalise_host(host, scheme) if host else host
    if normal:
        path = _encode(_remove_dot_segments(path), _PATH) if path else path
        query = _encode(query, _QUERY) if query else query
        fragment = _encode(fragment, _QUERY) if fragment else fragment
    if not path:
        path = "" if query is not None or fragment is not None else None
    return Parts(scheme, auth, host, port, path, query, fragment)


@lru_cache(maxsize=1024)
def _prepare(url: str, query_suffix: str) -> str:
    parts = parse_url(url)
    scheme, auth, host, port, path, query, fragment = parts
    if not scheme:
        raise _Missing(f"Invalid URL {url!r}: No scheme supplied. Perhaps you meant https://{url}?")
    if not host:
        raise BadURL(f"Invalid URL {url!r}: No host supplied")
    if not host.isascii():
        try:
            host = _idna(host, uts46=True)
        except BadURL:
            raise BadURL("URL has an invalid label.") from None
    elif host.startswith(("*", ".")):
        raise BadURL("URL has an invalid label.")
    netloc = f"{auth}@{host}" if auth else host
    if port:
        netloc += f":{port}"
    if query_suffix:
        query = f"{query}&{query_suffix}" if query else query_suffix
    return requote_uri(urlunparse((scheme, netloc, path or "/", "", query, fragment)))


class _Missing(BadURL):
    """No scheme."""


def prepare_url(url: Any, params: Any, errors: ModuleType) -> str:
    """Return the URL that requests would send for *url* (any object, bytes are UTF-8) and *params*.

    Raises MissingSchema or InvalidURL of the tree *errors*.
    """
    text = url.decode("utf8") if isinstance(url, bytes) else str(url)
    text = text.lstrip()
    if ":" in text and not text.lower().startswith("http"):
        return text  # not an HTTP scheme: left alone, the adapter look-up reports it
    if isinstance(params, bytes):
        params = params.decode("ascii")
    suffix = "" if params is None else encode_params(params)
    try:
        return _prepare(text, suffix or "")
    except _Missing as error:
        raise errors.MissingSchema(str(error)) from None
    except BadURL as error:
        raise errors.InvalidURL(str(error)) from None


def to_key_val_list(value: Any) -> list[tuple[Any, Any]]:
    """Return the pairs of a mapping or of an iterable of pairs. Raises ValueError."""
    if isinstance(value, (str, bytes, bool, int)):
        raise ValueError("cannot encode objects that are not 2-tuples")
    if isinstance(value, Mapping):
        value = value.items()
    return list(value)


_PLAIN = frozenset([str, int, type(None)])
_quoted = lru_cache(maxsize=1024)(quote_plus)


def _quoted_value(value: str | int) -> str:
    text = value if type(value) is str else str(value)
    return text if text.isalnum() and text.isascii() else quote_plus(text)


def _encode_plain(data: dict[Any, Any]) -> str | None:
    """Form-encode a dict of names to texts, numbers and None; None for any other dict."""
    pairs = []
    for key, value in data.items():
        if type(key) is not str or type(value) not in _PLAIN:
            return None
        if value is not None:
            pairs.append(f"{_quoted(key)}={_quoted_value(value)}")
    return "&".join(pairs)


def encode_params(data: Any) -> Any:
    """Form-encode a mapping or pairs (None values dropped); other values pass unchanged."""
    if isinstance(data, (str, bytes)) or hasattr(data, "read"):
        return data
    if not hasattr(data, "__iter__"):
        return data
    if type(data) is dict and (plain := _encode_plain(data)) is not None:
        return plain
    result: list[tuple[Any, Any]] = []
    for key, values in to_key_val_list(data):
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            values = [values]
        for value in values:
            if value is not None:
                result.append(
                    (
                        key.encode("utf-8") if isinstance(key, str) else key,
                        value.encode("utf-8") if isinstance(value, str) else value,
                    )
                )
    return urlencode(result, doseq=True)


def _unquote_unreserved(uri: str) -> str:
    parts = uri.split("%")
    for i in range(1, len(parts)):
        digits = parts[i][0:2]
        if len(digits) == 2 and digits.isalnum():
            char = chr(int(digits, 16))  # ValueError: not an escape
            parts[i] = char + parts[i][2:] if char in _UNRESERVED else f"%{parts[i]}"
        else:
            parts[i] = f"%{parts[i]}"
    return "".join(parts)


def requote_uri(uri: str) -> str:
    """Unquote unreserved characters and quote illegal ones, once."""
    try:
        return quote(_unquote_unreserved(uri), safe="!#$%&'()*+,/:;=?@[]~")
    except ValueError:
        return quote(uri, safe="!#$&'()*+,/:;=?@[]~")


def path_url(url: str) -> str:
    """Return path and query of *url*, as `PreparedRequest.path_url`."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@lru_cache(maxsize=1024)
def locate(url: str) -> Location:
    """Return where *url*, already prepared, goes. Raises BadURL."""
    parts = parse_url(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.host:
        raise BadURL(f"Failed to parse: {url}")
    path, _, query = path_url(url).partition("?")
    target = _encode(path, _PATH)
    if query:
        target += "?" + _encode(query, _QUERY)
    default = parts.port is None or parts.port == DEFAULT_PORTS[parts.scheme]
    host_header = parts.host if default else f"{parts.host}:{parts.port}"
    return Location(parts.scheme, parts.host, parts.port, target, host_header)


def get_auth_from_url(url: str) -> tuple[str, str]:
    """Return the percent-decoded credentials in *url*, or two empty strings."""
    if "@" not in url:
        return ("", "")
    parts = urlsplit(url)
    if parts.username is None or parts.password is None:
        return ("", "")
    return (unquote(parts.username), unquote(parts.password))


def parse_header_links(value: str) -> list[dict[str, str]]:
    """Parse a ``Link`` header into one dict a link."""
    strip = " '\""
    value = value.strip(strip)
    links: list[dict[str, str]] = []
    if not value:
        return links
    for entry in re.split(", *<", value):
        url, _, params = entry.partition(";")
        link = {"url": url.strip("<> '\"")}
        for param in params.split(";"):
            pieces = param.split("=")
            if len(pieces) != 2:
                break
            link[pieces[0].strip(strip)] = pieces[1].strip(strip)
        links.append(link)
    return links
