"""A network camera that gives one image file for each HTTP request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse, InvalidURL, responses
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    ProxyHandler,
    build_opener,
)

from daemon.intake.cameras import READ_MS, lost
from daemon.settings.addresses import without_password

READ_BYTES = 65_536
READ_S = READ_MS / 1000


class Snapshot:
    """A camera at an HTTP address that answers each request with one image file, asked anew every `every_ms`.

    It is asked directly, whatever proxy the environment names. A user and password in the address answer the camera
    where it asks for them (Basic or Digest).
    """

    def __init__(self, address: str, every_ms: int, max_bytes: int) -> None:
        self.interval_s = every_ms / 1000
        self._address = address
        self._max_bytes = max_bytes

    def grab(self) -> bytes:
        """The next image file, as the camera sent it. Raises CameraLost, also for an answer that is no image, torn off,
        slow, or larger than `max_bytes` (no more of it is read)."""
        with _answer(self._address) as answer:
            if not is_image(answer.headers.get_content_type()):
                raise lost(without_password(self._address), f"an answer of type {answer.headers.get_content_type()}")
            return self._body(answer)

    def close(self) -> None:
        """Does nothing: each request has a connection of its own."""

    def _body(self, answer: HTTPResponse) -> bytes:
        until_s = time.monotonic() + READ_S
        told_bytes = int(answer.headers.get("Content-Length") or 0)
        body = bytearray()
        while told_bytes <= self._max_bytes and (more := answer.read1(READ_BYTES)):
            body += more
            if len(body) > self._max_bytes:
                break
            if time.monotonic() > until_s:
                raise lost(without_password(self._address), f"{len(body):,} bytes of an image within {READ_S:g} s")
        if max(told_bytes, len(body)) > self._max_bytes:
            raise lost(
                without_password(self._address), f"an image of more than source.max_bytes, {self._max_bytes:,} bytes"
            )
        if len(body) < max(told_bytes, 1):
            raise lost(without_password(self._address), f"{len(body):,} of the {told_bytes:,} bytes of an image")
        return bytes(body)


def content_type(address: str) -> str:
    """What a camera at an HTTP address answers with: image/jpeg or the like, or a stream. Raises CameraLost."""
    with _answer(address) as answer:
        return answer.headers.get_content_type()


def is_image(kind: str) -> bool:
    """Whether an answer of this content type is one image."""
    return kind.startswith("image/")


@contextlib.contextmanager
def _answer(address: str) -> Iterator[HTTPResponse]:
    """The camera's answer, of which only the head is read yet. What is told of an error is never the address as it is,
    which may hold a password."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        passwords = HTTPPasswordMgrWithDefaultRealm()
        if parts.username is not None:
            passwords.add_password(None, host, unquote(parts.username), unquote(parts.password or ""))
        opener = build_opener(ProxyHandler({}), HTTPBasicAuthHandler(passwords), HTTPDigestAuthHandler(passwords))
        with opener.open(urlunsplit(parts._replace(netloc=host)), timeout=READ_S) as answer:
            yield answer
    except HTTPError as error:
        error.close()
        came = f"HTTP {error.code} {responses.get(error.code, '')}".strip()
    except URLError as error:
        came = str(error.reason)
    except OSError as error:
        came = str(error) or type(error).__name__
    except InvalidURL:
        came = "an address that cannot be read; in its password write / ? # as %2F %3F %23"
    except (HTTPException, ValueError) as error:
        came = f"an answer that cannot be read ({type(error).__name__})"
    else:
        return
    raise lost(without_password(address), came) from None
