"""requests, and the drop-in of the same interface."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library, each, members

_VERBS = "get post put patch delete head options request"
_BODY = "iter_content iter_lines __iter__ close"


def _library(root: str) -> Library:
    session, response = f"{root}.Session", f"{root}.Response"
    return Library(
        aliases={
            f"{root}.api": root,
            f"{root}.sessions": root,
            f"{root}.models": root,
            f"{root}.session": session,
        },
        bases={f"{root}.adapters.HTTPAdapter": (f"{root}.adapters.BaseAdapter",)},
        returns={
            **each(root, _VERBS, response),
            **each(session, f"{_VERBS} send", response),
            session: session,
            f"{session}.__enter__": session,
            f"{session}.prepare_request": f"{root}.PreparedRequest",
            f"{session}.get_adapter": f"{root}.adapters.HTTPAdapter",
            f"{response}.__enter__": response,
            f"{response}.iter_content": "generator[bytes]",
            f"{response}.iter_lines": "generator[bytes]",
            f"{response}.__iter__": "generator[bytes]",
            f"{response}.raise_for_status": "None",
            f"{response}.close": "None",
            f"{session}.close": "None",
            f"{session}.mount": "None",
        },
        attributes={
            f"{response}.text": "str",
            f"{response}.content": "bytes",
            f"{response}.url": "str",
            f"{response}.reason": "str",
            f"{response}.ok": "bool",
            f"{response}.status_code": "int",
            f"{response}.headers": f"{root}.structures.CaseInsensitiveDict",
            f"{session}.headers": f"{root}.structures.CaseInsensitiveDict",
            f"{session}.cookies": f"{root}.cookies.RequestsCookieJar",
            f"{response}.request": f"{root}.PreparedRequest",
        },
        blocks={
            "http": (
                *members(root, _VERBS),
                *members(session, f"{_VERBS} send"),
                *members(response, _BODY.replace(" close", "")),
                f"{root}.adapters.HTTPAdapter.send",
            )
        },
        notes={
            f"{response}.iter_content": "reads from the network when the request streams",
            f"{response}.iter_lines": "reads from the network when the request streams",
            f"{response}.__iter__": "reads from the network when the request streams",
        },
        hooks={
            session: (
                *_VERBS.split(),
                *[
                    "send",
                    "prepare_request",
                    "get_adapter",
                    "mount",
                    "close",
                    "merge_environment_settings",
                ],
                *[
                    "rebuild_auth",
                    "resolve_redirects",
                    "should_strip_auth",
                    "__enter__",
                    "__exit__",
                ],
            ),
            f"{root}.auth.AuthBase": ("__call__",),
            f"{root}.adapters.BaseAdapter": ("send", "close"),
            f"{root}.adapters.HTTPAdapter": (
                *["send", "close", "init_poolmanager", "proxy_manager_for", "cert_verify"],
                *["build_response", "get_connection", "request_url", "add_headers"],
            ),
        },
    )


LIBRARY = _library("requests")
DROP_IN = _library("bridgekit.integrations.requests")
DROP_IN_HTTPX2 = _library("bridgekit.integrations.requests_httpx2")
NIQUESTS = _library("niquests")
