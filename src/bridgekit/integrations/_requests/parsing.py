"""Functions of `requests.utils` that programs use: parts of headers, cookies and URLs."""

from __future__ import annotations

import urllib.request
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlparse, urlunparse

from .cookies import cookiejar_from_dict
from .environment import (
    get_environ_proxies,
    get_netrc_auth,
    select_proxy,
    should_bypass_proxies,
)
from .text import encoding_from_headers, guess_json_utf
from .urls import get_auth_from_url, parse_header_links, requote_uri, to_key_val_list

__all__ = [
    "add_dict_to_cookiejar",
    "dict_from_cookiejar",
    "get_auth_from_url",
    "get_encoding_from_headers",
    "get_environ_proxies",
    "get_netrc_auth",
    "guess_json_utf",
    "parse_dict_header",
    "parse_header_links",
    "parse_list_header",
    "requote_uri",
    "select_proxy",
    "should_bypass_proxies",
    "to_key_val_list",
    "unquote_header_value",
    "unquote_unreserved",
    "urldefragauth",
]

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def dict_from_cookiejar(cj: CookieJar) -> dict[str, str | None]:
    """Return name and value of every cookie; of equal names the last."""
    return {cookie.name: cookie.value for cookie in cj}


def add_dict_to_cookiejar(cj: Any, cookie_dict: Any) -> Any:
    """Put every item of *cookie_dict* into *cj* and return it."""
    return cookiejar_from_dict(cookie_dict, cj)


def get_encoding_from_headers(headers: Any) -> str | None:
    """Return the encoding that ``Content-Type`` names or implies. *headers* ignore case."""
    return encoding_from_headers(headers)


def parse_list_header(value: str) -> list[str]:
    """Split a header at its commas; quotes around an element are taken off."""
    return [
        unquote_header_value(item[1:-1]) if item[:1] == item[-1:] == '"' else item
        for item in urllib.request.parse_http_list(value)
    ]


def parse_dict_header(value: str) -> dict[str, str | None]:
    """Split a header of ``key=value`` pairs; a key without value has None."""
    found: dict[str, str | None] = {}
    for item in urllib.request.parse_http_list(value):
        name, equals, text = item.partition("=")
        if not equals:
            found[item] = None
            continue
        if text[:1] == text[-1:] == '"':
            text = unquote_header_value(text[1:-1])
        found[name] = text
    return found


def unquote_header_value(value: str, is_filename: bool = False) -> str:
    """Take the quotes off a header value; a UNC path keeps its leading backslashes."""
    if value and value[0] == value[-1] == '"':
        value = value[1:-1]
        if not is_filename or value[:2] != "\\\\":
            return value.replace("\\\\", "\\").replace('\\"', '"')
    return value


def unquote_unreserved(uri: str) -> str:
    """Decode the escapes of characters that need none. Raises ValueError for a broken escape."""
    first, *rest = uri.split("%")
    found = [first]
    for part in rest:
        escape = part[:2]
        if len(escape) == 2 and escape.isalnum():
            character = chr(int(escape, 16))
            found.append(character + part[2:] if character in _UNRESERVED else f"%{part}")
        else:
            found.append(f"%{part}")
    return "".join(found)


def urldefragauth(url: str) -> str:
    """Return *url* without fragment and credentials."""
    scheme, netloc, path, params, query, _ = urlparse(url)
    if not netloc:
        netloc, path = path, netloc
    return urlunparse((scheme, netloc.rsplit("@", 1)[-1], path, params, query, ""))
