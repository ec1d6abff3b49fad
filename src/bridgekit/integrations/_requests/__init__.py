"""Semantics shared by the requests-compatible modules, independent of the HTTP library.

Nothing here imports an HTTP library. `bridgekit.integrations.requests` binds these parts to httpx
and `bridgekit.integrations.requests_httpx2` binds them to httpx2; both are thin.
"""
