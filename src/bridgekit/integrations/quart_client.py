"""The test client of a Quart application, as close to Flask's as its tests need it."""

from __future__ import annotations

from contextvars import Token
from typing import Any, cast
from urllib.parse import urlencode

from quart.globals import _cv_app, _cv_request
from quart.testing import QuartClient
from werkzeug.datastructures import Headers

from bridgekit.integrations.quart_contexts import RequestContext

__all__ = ["Client"]


class Client(QuartClient):
    """Quart's test client; ``async with client`` keeps the whole context of the last request.

    As with Flask's client, ``g`` is there beside ``request`` and ``session``, and the teardown
    functions run when the next request begins or the block ends.
    """

    _kept: tuple[RequestContext, Token[Any], Token[Any]] | None = None

    async def open(
        self, path: str, *, method: str = "GET", follow_redirects: bool = False, **request: Any
    ) -> Any:
        """As Quart's. Redirects are followed and repeated form fields sent as Flask's client does.

        :raises RuntimeError: more than 20 redirects in a row.
        """
        request = _with_repeated_fields(request)
        response = await self._open_once(path, method, request)
        for _ in range(_MAX_REDIRECTS):
            if not follow_redirects or response.status_code not in _REDIRECTS:
                return response
            if response.status_code not in (307, 308):
                method = "HEAD" if method == "HEAD" else "GET"
                request = _without_body(request)
            request.pop("query_string", None)
            response = await self._open_once(response.location, method, request)
        raise RuntimeError(f"more than {_MAX_REDIRECTS} redirects, the last from {path}")

    async def _open_once(self, path: str, method: str, request: dict[str, Any]) -> Any:
        await self._tear_down_kept()
        response = await super().open(path, method=method, **request)
        if self.preserve_context:
            self._keep(self.app._preserved_context)
        return response

    def _keep(self, preserved: object) -> None:
        origin = preserved.origin if isinstance(preserved, RequestContext) else None
        if origin is not None and origin.app_context is not None:
            app_token = _cv_app.set(origin.app_context)
            self._kept = (origin, _cv_request.set(origin), app_token)

    async def _tear_down_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is None:
            return
        context, request_token, app_token = kept
        try:
            with context.on_its_thread():
                await context.app.do_teardown_request(None, context)
                close = getattr(context.request, "close", None)
                if close is not None:
                    await close()
                await context.app.do_teardown_appcontext(None)
        finally:
            _cv_app.reset(app_token)
            _cv_request.reset(request_token)
            _cv_request.set(cast(Any, None))
            context.let_go_of_thread()

    async def __aexit__(self, exc_type: Any, exc_value: Any, tb: Any) -> None:
        self.preserve_context = False
        try:
            await self._tear_down_kept()
        finally:
            await super().__aexit__(exc_type, exc_value, tb)


_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})
_MAX_REDIRECTS = 20
_BODY = ("data", "form", "files", "json")


def _headers(request: dict[str, Any]) -> Headers:
    """The headers of a request to come, apart: Quart's client adds its cookies to what it gets."""
    return Headers(request.get("headers") or {})


def _without_body(request: dict[str, Any]) -> dict[str, Any]:
    headers = _headers(request)
    for name in ("Content-Type", "Content-Length", "Transfer-Encoding"):
        headers.remove(name)
    rest = {key: value for key, value in request.items() if key not in _BODY}
    return {**rest, "headers": list(headers)}


def _with_repeated_fields(request: dict[str, Any]) -> dict[str, Any]:
    """A form value that is a list sends its field once for each item, as in Flask's client.

    Quart's would send the text of the list.
    """
    form = request.get("form")
    if not form or request.get("files"):
        return request
    if not any(isinstance(value, (list, tuple)) for value in form.values()):
        return request
    headers = _headers(request)
    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    rest = {key: value for key, value in request.items() if key not in ("form", "headers")}
    return {**rest, "data": urlencode(form, doseq=True), "headers": list(headers)}
