"""Functions of `requests.utils` that programs use: parts of headers, cookies and URLs."""

from __future__ import annotations

from .._requests.parsing import (
    add_dict_to_cookiejar,
    dict_from_cookiejar,
    get_auth_from_url,
    get_encoding_from_headers,
    get_environ_proxies,
    get_netrc_auth,
    guess_json_utf,
    parse_dict_header,
    parse_header_links,
    parse_list_header,
    requote_uri,
    select_proxy,
    should_bypass_proxies,
    to_key_val_list,
    unquote_header_value,
    unquote_unreserved,
    urldefragauth,
)

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
