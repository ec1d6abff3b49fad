"""TLS contexts for requests' `verify` and `cert`, made once per distinct configuration."""

from __future__ import annotations

import os
import ssl
import threading
from functools import lru_cache
from typing import Any

from bridgekit.engine import process

_lock = threading.Lock()  # loading certificates takes tens of milliseconds: only one thread does
_contexts: dict[Any, ssl.SSLContext] = {}


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


process.after_fork(_renew_lock)


def _stamp(path: str) -> tuple[str, int]:
    try:
        return path, os.stat(path).st_mtime_ns
    except OSError:
        return path, -1


def tls_key(verify: Any, cert: Any) -> tuple[Any, ...]:
    """Return a hashable key of a configuration; changes when a named file changes."""
    if isinstance(verify, ssl.SSLContext):
        trust: Any = id(verify)
    elif isinstance(verify, (str, os.PathLike)) and verify:
        trust = _stamp(os.fspath(verify))
    else:
        trust = bool(verify)
    identity: Any = None
    if cert:
        files = [cert] if isinstance(cert, (str, os.PathLike)) else [p for p in cert if p]
        identity = tuple(_stamp(os.fspath(path)) for path in files)
    return trust, identity


def tls_context(verify: Any, cert: Any) -> ssl.SSLContext:
    """Return the context for *verify* (bool, CA file or directory) and *cert* (file or pair).

    Cached. Raises OSError, worded like requests, when a file is missing.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    key = tls_key(verify, cert)
    with _lock:
        context = _contexts.get(key)
        if context is None:
            context = _contexts[key] = _make(verify, cert)
        return context


@lru_cache(maxsize=1)
def plain_context() -> ssl.SSLContext:
    """A context for pools that never speak TLS; cheap, since no certificates are loaded."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def default_bundle() -> str | None:
    """Path of certifi's CA bundle, which requests uses; None leaves the choice to OpenSSL."""
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()


def _make(verify: Any, cert: Any) -> ssl.SSLContext:
    if verify:
        path = default_bundle() if verify is True else os.fspath(verify)
        if path is not None and not os.path.exists(path):
            raise OSError(
                f"Could not find a suitable TLS CA certificate bundle, invalid path: {path}"
            )
        if path is None:
            context = ssl.create_default_context()
        elif os.path.isdir(path):
            context = ssl.create_default_context(capath=path)
        else:
            context = ssl.create_default_context(cafile=path)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if cert:
        pair = check_cert(cert)
        context.load_cert_chain(pair[0], pair[1] if len(pair) > 1 else None)
    return context


def check_cert(cert: Any) -> tuple[Any, ...]:
    """Return certificate and key of *cert* (file, pair or None). Raises OSError if one is missing.

    requests looks for them whatever the scheme of the URL is.
    """
    if not cert:
        return ()
    pair = (cert, None) if isinstance(cert, (str, os.PathLike)) else tuple(cert)
    for what, path in zip(("certificate", "key"), pair, strict=False):
        if path and not os.path.exists(path):
            raise OSError(f"Could not find the TLS {what} file, invalid path: {path}")
    return pair
