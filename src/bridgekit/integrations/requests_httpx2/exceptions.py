"""The exceptions of requests, each also one of httpx2's where a counterpart exists."""

# httpx2's `request` is a property; here it is a plain attribute, as requests has it.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from json import JSONDecodeError as _PlainJSONDecodeError
from typing import Any

from .._requests.binding import load

load("httpx2", "httpx2")

import httpx2 as _http  # noqa: E402  # after the check that names the extra


class RequestException(OSError, _http.HTTPError):
    """Base of everything that can go wrong with a request.

    Attributes:
        request: the PreparedRequest, or None.
        response: the Response, or None.
    """

    request: Any = None
    response: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.response = kwargs.pop("response", None)
        self.request = kwargs.pop("request", None)
        if self.response is not None and not self.request:
            self.request = getattr(self.response, "request", None)
        OSError.__init__(self, *args, **kwargs)


class InvalidJSONError(RequestException):
    """The value cannot be encoded as JSON."""


class JSONDecodeError(InvalidJSONError, _PlainJSONDecodeError):
    """The body is not JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _PlainJSONDecodeError.__init__(self, *args)
        InvalidJSONError.__init__(self, *self.args, **kwargs)

    def __reduce__(self) -> Any:
        return _PlainJSONDecodeError.__reduce__(self)


class HTTPError(RequestException, _http.HTTPStatusError):
    """A response with an error status (`raise_for_status`)."""


class ConnectionError(RequestException, _http.NetworkError):
    """The connection could not be made, or broke."""


class ProxyError(ConnectionError, _http.ProxyError):
    """The proxy could not be reached or refused."""


class SSLError(ConnectionError, _http.ConnectError):
    """TLS failed."""


class Timeout(RequestException, _http.TimeoutException):
    """A timeout of either kind."""


class ConnectTimeout(ConnectionError, Timeout, _http.ConnectTimeout):
    """No connection within the connect timeout."""


class ReadTimeout(Timeout, _http.ReadTimeout):
    """No data within the read timeout."""


class URLRequired(RequestException):
    """A URL is needed."""


class TooManyRedirects(RequestException, _http.TooManyRedirects):
    """More redirects than `max_redirects`."""


class MissingSchema(RequestException, ValueError, _http.UnsupportedProtocol):
    """The URL has no scheme."""


class InvalidSchema(RequestException, ValueError, _http.UnsupportedProtocol):
    """No adapter serves the scheme of the URL."""


class InvalidURL(RequestException, ValueError, _http.InvalidURL):
    """The URL is malformed."""


class InvalidHeader(RequestException, ValueError, _http.LocalProtocolError):
    """A header is malformed."""


class InvalidProxyURL(InvalidURL):
    """The URL of a proxy is malformed."""


class ChunkedEncodingError(RequestException, _http.RemoteProtocolError):
    """The body ended early or is malformed."""


class ContentDecodingError(RequestException, _http.DecodingError):
    """The body is not what its Content-Encoding says."""


class StreamConsumedError(RequestException, TypeError):
    """The body was streamed away already."""


class RetryError(RequestException):
    """The retries are used up."""


class UnrewindableBodyError(RequestException):
    """A body that must be sent again cannot be rewound."""


class RequestsWarning(Warning):
    """Base of the warnings."""


class FileModeWarning(RequestsWarning, DeprecationWarning):
    """A file in text mode was given as a body."""


class RequestsDependencyWarning(RequestsWarning):
    """Never issued; for programs that filter it."""
