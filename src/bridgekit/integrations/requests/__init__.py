"""requests' interface and behaviour over httpx, in both colours.

``from bridgekit.integrations import requests`` replaces ``import requests``
without a change of behaviour; afterwards single calls are flipped to the asynchronous face, which
has the same rules::

    requests.get(url, timeout=3)                  # synchronous
    await requests.aio.get(url, timeout=3)        # the same in async code
    session.get(url); await session.aio.get(url)  # both colours of one session
    async with requests.async_client().stream("GET", url) as response: ...

Everything raises the tree of `exceptions`, whose classes are requests' and, where a counterpart
exists, also httpx's. The synchronous face uses httpx's transport. The asynchronous one uses
aiohttp's connector when it is installed; it falls back to httpx's transport without it, for
proxies, for header values that are not ASCII, and under trio.

Limits, stated: no default timeout; connections in use are not limited, idle ones to 100 an adapter
(synchronous) or until the server closes them (asynchronous); at most 30 redirects.

Differences that can be seen, on purpose:

- ``User-Agent`` is ``bridgekit-requests/1``. Removed by the value None it is not sent at all,
  where requests sends ``python-urllib3/...`` in its place.
- A streamed body that is longer or shorter than its Content-Length (a text file that is not ASCII,
  whose characters requests counts) raises InvalidHeader; requests lets the server cut it off or
  wait for the rest.
- Failures of the network have urllib3's messages and parts (``error.args[0].reason``) where the
  failure is one of a known kind, and the library's otherwise; the parts are not urllib3's classes.
- Pieces of a chunked body may be smaller than urllib3's; never larger than asked for.
- `async_client` and `aio` reuse connections between calls; the synchronous module functions open
  one for each call, as requests does.

What has no equivalent raises NotImplementedError and says what to use:

- `HTTPAdapter` subclasses that build urllib3 pools, pool options other than ``ssl_context``,
  ``source_address`` and ``socket_options``, and ``pool_block=True``;
- under the asynchronous face: adapters that are only synchronous, adapters whose `send` uses the
  response or hooks that use `response.connection.send`, and subclasses of `Session` that override
  `request`, `send` or a verb;
- `event_hooks`, `base_url` and `Session.resolve_redirects`.

Reading the body of a streamed asynchronous response without ``await`` raises RuntimeError.
`parsing` has the functions of `requests.utils` that programs use; `requests.packages` and
`requests.compat` do not exist here.
"""

from __future__ import annotations

from .._requests.status_codes import codes
from . import (
    adapters,
    api,
    auth,
    cookies,
    exceptions,
    models,
    parsing,
    sessions,
    status_codes,
    structures,
)
from ._bound import (
    AsyncClient,
    PreparedRequest,
    Request,
    Response,
    Session,
    aio,
    async_client,
    request,
)
from .api import delete, get, head, options, patch, post, put
from .exceptions import (
    ConnectionError,
    ConnectTimeout,
    FileModeWarning,
    HTTPError,
    JSONDecodeError,
    ReadTimeout,
    RequestException,
    Timeout,
    TooManyRedirects,
    URLRequired,
)

__all__ = [
    "AsyncClient",
    "ConnectTimeout",
    "ConnectionError",
    "FileModeWarning",
    "HTTPError",
    "JSONDecodeError",
    "PreparedRequest",
    "ReadTimeout",
    "Request",
    "RequestException",
    "Response",
    "Session",
    "Timeout",
    "TooManyRedirects",
    "URLRequired",
    "adapters",
    "aio",
    "api",
    "async_client",
    "auth",
    "codes",
    "cookies",
    "delete",
    "exceptions",
    "get",
    "head",
    "models",
    "options",
    "parsing",
    "patch",
    "post",
    "put",
    "request",
    "session",
    "sessions",
    "status_codes",
    "structures",
]


def session() -> Session:
    """Return a new Session."""
    return Session()
