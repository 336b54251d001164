"""Answers boto3's calls to the API of a test in the thread that makes them, without HTTP.

A call takes half of the processor time: no connection, no thread for it, nothing written and parsed as HTTP. All else
is as over HTTP: the request is built and signed by botocore, answered by the endpoint's WSGI application, and parsed by
botocore. Other processes of a test, such as tasks, reach the same endpoint over HTTP.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import botocore.httpsession
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict

from lab.endpoint import Wsgi


class _Body(io.BytesIO):
    """The body of an answer, as botocore reads urllib3's."""

    def stream(self, amount: int = 1 << 16, **_: Any) -> Iterator[bytes]:
        while part := self.read(amount):
            yield part


@contextmanager
def answered_in_process(url: str, application: Wsgi) -> Iterator[None]:
    """Passes requests to this URL to the application for the duration of the block; all others go where they went."""
    place = urlsplit(url).netloc
    send_over_http = botocore.httpsession.URLLib3Session.send

    def send(session: Any, request: Any) -> Any:
        if urlsplit(request.url).netloc != place:
            return send_over_http(session, request)
        return _answer(application, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.httpsession.URLLib3Session, "send", send)
        yield


def _answer(application: Wsgi, request: Any) -> AWSResponse:
    begun: tuple[int, Any] | None = None  # Any: the stubs know no headers but of http.client

    def start_response(status: str, headers: Iterable[tuple[str, str]], _: Any = None) -> None:
        nonlocal begun
        begun = int(status.partition(" ")[0]), HeadersDict(dict(headers))

    parts = application(_environment(request), start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    assert begun is not None
    raw: Any = _Body(b"" if request.method == "HEAD" else body)
    response = AWSResponse(request.url, begun[0], begun[1], raw)
    if not request.stream_output:
        _ = response.content
    return response


def _environment(request: Any) -> dict[str, Any]:
    """The request by PEP 3333, as werkzeug's server would pass it on."""
    url = urlsplit(request.url)
    body = request.body or b""
    body = body.read() if hasattr(body, "read") else body
    body = body.encode() if isinstance(body, str) else bytes(body)
    target = url.path + (f"?{url.query}" if url.query else "")
    environment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path or "/").encode().decode("latin1"),
        "QUERY_STRING": url.query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        text = value.decode("latin1") if isinstance(value, bytes) else str(value)
        environment[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    environment.pop("HTTP_TRANSFER_ENCODING", None)  # the body is whole
    environment["CONTENT_LENGTH"] = str(len(body))
    return environment
