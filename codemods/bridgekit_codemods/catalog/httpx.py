"""httpx and httpx2, synchronous and asynchronous, and the asynchronous face of the drop-in."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library, each, members

_VERBS = "get post put patch delete head options request"


def _library(root: str) -> Library:
    client, aclient, response = f"{root}.Client", f"{root}.AsyncClient", f"{root}.Response"
    return Library(
        aliases={f"{root}._client": root, f"{root}._models": root, f"{root}._api": root},
        returns={
            **each(root, _VERBS, response),
            **each(client, f"{_VERBS} send", response),
            **each(aclient, f"{_VERBS} send", f"coroutine[{response}]"),
            client: client,
            aclient: aclient,
            f"{client}.__enter__": client,
            f"{aclient}.__aenter__": aclient,
            f"{root}.stream": f"contextlib.ContextManager[{response}]",
            f"{client}.stream": f"contextlib.ContextManager[{response}]",
            f"{aclient}.stream": f"contextlib.AsyncContextManager[{response}]",
            f"{client}.build_request": f"{root}.Request",
            f"{aclient}.build_request": f"{root}.Request",
            f"{client}.close": "None",
            f"{aclient}.aclose": "coroutine[None]",
            f"{response}.raise_for_status": response,
            f"{response}.iter_bytes": "generator[bytes]",
            f"{response}.iter_raw": "generator[bytes]",
            f"{response}.iter_text": "generator[str]",
            f"{response}.iter_lines": "generator[str]",
            f"{response}.aiter_bytes": "async_generator[bytes]",
            f"{response}.aiter_text": "async_generator[str]",
            f"{response}.aiter_lines": "async_generator[str]",
            f"{response}.read": "bytes",
            f"{response}.aread": "coroutine[bytes]",
        },
        attributes={
            f"{response}.text": "str",
            f"{response}.content": "bytes",
            f"{response}.status_code": "int",
            f"{response}.is_success": "bool",
            f"{response}.headers": f"{root}.Headers",
            f"{client}.headers": f"{root}.Headers",
            f"{aclient}.headers": f"{root}.Headers",
        },
        blocks={
            "http": (
                *members(root, f"{_VERBS} stream"),
                *members(client, f"{_VERBS} send stream"),
                *members(response, "read iter_bytes iter_raw iter_text iter_lines"),
            )
        },
        hooks={
            client: (*_VERBS.split(), "send", "stream", "build_request", "close"),
            aclient: (*_VERBS.split(), "send", "stream", "build_request", "aclose"),
            f"{root}.Auth": ("auth_flow", "sync_auth_flow", "async_auth_flow"),
            f"{root}.BaseTransport": ("handle_request", "close"),
            f"{root}.AsyncBaseTransport": ("handle_async_request", "aclose"),
        },
    )


def _drop_in(root: str, http: str) -> Library:
    aclient = f"{root}.AsyncClient"
    return Library(
        bases={aclient: (f"{http}.AsyncClient",)},
        returns={
            aclient: aclient,
            f"{root}.async_client": aclient,
            **each(aclient, f"{_VERBS} send", f"coroutine[{root}.Response]"),
            f"{aclient}.__aenter__": aclient,
            f"{aclient}.stream": f"contextlib.AsyncContextManager[{root}.Response]",
            **each(f"{root}.aio", _VERBS, f"coroutine[{root}.Response]"),
            f"{root}.Response.aiter_bytes": "async_generator[bytes]",
            f"{root}.Response.aiter_lines": "async_generator[str]",
            f"{root}.Response.aread": "coroutine[bytes]",
        },
        attributes={f"{root}.Session.aio": aclient},
        hooks={aclient: _VERBS.split()},
    )


LIBRARY = _library("httpx")
HTTPX2 = _library("httpx2")
DROP_IN = _drop_in("bridgekit.integrations.requests", "httpx")
DROP_IN_HTTPX2 = _drop_in("bridgekit.integrations.requests_httpx2", "httpx2")
