"""What requests takes from the environment: proxies, ``NO_PROXY``, CA bundles, netrc."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from netrc import NetrcParseError, netrc
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_SCHEMES = ("http", "https", "all", "no")


def _stored(*names: str) -> frozenset[Any]:
    """*names* in the form in which `os.environ` stores them."""
    return frozenset(os.environ.encodekey(name) for name in names)


_PROXY_NAMES = _stored(
    *(name for scheme in _SCHEMES for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()))
)
_BUNDLE_NAMES = _stored("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_NETRC_NAMES = tuple(_stored("NETRC", "HOME", "USERPROFILE"))


def _none_set(names: frozenset[Any]) -> bool:
    """Tell whether no variable of *names* is set; False where that cannot be told quickly.

    Looking up a variable encodes its name each time; on every request that adds up.
    """
    data = getattr(os.environ, "_data", None)
    return isinstance(data, dict) and data.keys().isdisjoint(names)


def _get(name: str) -> str | None:
    return os.environ.get(name) or os.environ.get(name.upper())


def environment_proxies() -> dict[str, str]:
    """Return the proxies of the process. Cheap where only variables count (not macOS, Windows)."""
    if sys.platform in ("darwin", "win32"):
        return getproxies()
    proxies: dict[str, str] = {}
    for scheme in _SCHEMES:
        upper = (
            None
            if scheme == "http" and "REQUEST_METHOD" in os.environ
            else (os.environ.get(f"{scheme}_proxy".upper()))
        )
        lower = os.environ.get(f"{scheme}_proxy")
        value = lower if lower is not None else upper  # an empty lower-case one switches off
        if value:
            proxies[scheme] = value
    return proxies


def should_bypass_proxies(url: str, no_proxy: str | None) -> bool:
    """Tell whether ``NO_PROXY`` (or *no_proxy*) covers the host of *url*."""
    parts = urlsplit(url)
    host = parts.hostname
    if host is None:
        return True
    listed = no_proxy if no_proxy is not None else _get("no_proxy")
    if listed:
        entries = [e for e in listed.replace(" ", "").split(",") if e]
        try:
            address: IPv4Address | None = IPv4Address(host)
        except AddressValueError:
            address = None
        if address is not None:
            for entry in entries:
                if "/" in entry:
                    try:
                        if address in IPv4Network(entry, strict=False):
                            return True
                    except (AddressValueError, NetmaskValueError, ValueError):
                        continue
                elif host == entry:
                    return True
        else:
            with_port = f"{host}:{parts.port}" if parts.port else host
            for entry in entries:
                suffix = entry.lstrip(".")
                if host == suffix or with_port == suffix:
                    return True
                if host.endswith("." + suffix) or with_port.endswith("." + suffix):
                    return True
    if sys.platform in ("darwin", "win32") or (listed and "*" in listed):
        return bool(proxy_bypass(host))
    return False


def get_environ_proxies(url: str, no_proxy: str | None = None) -> dict[str, str]:
    """Return the environment's proxies for *url*; empty when it is excluded."""
    if sys.platform not in ("darwin", "win32") and _none_set(_PROXY_NAMES):
        return {}
    proxies = environment_proxies()
    if not proxies or should_bypass_proxies(url, no_proxy):
        return {}
    return proxies


def select_proxy(url: str, proxies: Mapping[str, str] | None) -> str | None:
    """Return the proxy of *proxies* for *url*: host-specific, then scheme, then ``all``."""
    if not proxies:
        return None
    parts = urlsplit(url)
    if parts.hostname is None:
        return proxies.get(parts.scheme, proxies.get("all"))
    for key in (
        f"{parts.scheme}://{parts.hostname}",
        parts.scheme,
        f"all://{parts.hostname}",
        "all",
    ):
        if key in proxies:
            return proxies[key]
    return None


def resolve_proxies(url: str, proxies: Mapping[str, str] | None, trust_env: bool) -> dict[str, str]:
    """Add the environment's proxy for the scheme of *url* to *proxies*, unless excluded."""
    merged = dict(proxies or {})
    if trust_env:
        environ = get_environ_proxies(url, no_proxy=merged.get("no_proxy"))
        scheme = urlsplit(url).scheme
        proxy = environ.get(scheme, environ.get("all"))
        if proxy:
            merged.setdefault(scheme, proxy)
    return merged


def environment_verify(verify: Any) -> Any:
    """Apply ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` when *verify* leaves the choice open."""
    if (verify is True or verify is None) and not _none_set(_BUNDLE_NAMES):
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or verify
    return verify


_netrc_cache: dict[str, tuple[tuple[int, int], netrc]] = {}
_NETRC_LOOKS_SECONDS = 1.0
#: When no netrc file was found last, and under which variables.
_netrc_absent: tuple[float, Any] = (-_NETRC_LOOKS_SECONDS, None)


def get_netrc_auth(url: Any) -> tuple[str, str] | None:
    """Return the credentials of the user's netrc file for the host of *url*, if any.

    The file is parsed again only when it changes; where there was none, one that appears is seen
    within a second. Unreadable or malformed files are ignored, as requests does.
    """
    global _netrc_absent
    if isinstance(url, bytes):
        url = url.decode("utf-8")
    data = getattr(os.environ, "_data", None)
    names = [data.get(name) for name in _NETRC_NAMES] if isinstance(data, dict) else None
    now = time.monotonic()
    seen, under = _netrc_absent
    if names is not None and under == names and now - seen < _NETRC_LOOKS_SECONDS:
        return None
    named = os.environ.get("NETRC")
    candidates = (named,) if named is not None else ("~/.netrc", "~/_netrc")
    for candidate in candidates:
        path = os.path.expanduser(candidate)
        try:
            status = os.stat(path)
        except OSError:
            continue
        stamp = (status.st_mtime_ns, status.st_size)
        cached = _netrc_cache.get(path)
        try:
            if cached is None or cached[0] != stamp:
                cached = _netrc_cache[path] = (stamp, netrc(path))
            entry = cached[1].authenticators(urlsplit(str(url)).hostname or "")
        except (NetrcParseError, OSError, ValueError):
            return None
        if entry and any(entry):
            return (entry[0] or entry[1] or "", entry[2] or "")
        return None
    _netrc_absent = (now, names)
    return None
