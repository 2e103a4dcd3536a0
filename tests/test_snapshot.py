"""Snapshot cameras: one image for each HTTP request, healthy while they answer, told with the reason else."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import cv2
import numpy as np
import pytest
from cameras import watched
from pictures import png
from servers import until

from daemon.intake.addressed import connect
from daemon.intake.cameras import Camera, CameraLost
from daemon.intake.snapshot import Snapshot
from daemon.intake.video import Video
from daemon.service import Service

MAX_BYTES = 5_000


def jpeg(level: int) -> bytes:
    return cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()


class NetworkCamera(BaseHTTPRequestHandler):
    """A camera whose paths behave in their own ways."""

    def do_GET(self) -> None:
        getattr(self, f"_{self.path.strip('/').partition('?')[0]}")()

    def _image(self) -> None:
        self.server.asked += 1
        if self.server.away.is_set():
            self.send_error(503)
        else:
            self._answer("image/jpeg", jpeg(self.server.asked % 200))

    def _part(self) -> None:
        self.server.asked += 1
        self._answer("image/png", png(500 + self.server.asked % 8))

    def _missing(self) -> None:
        self.send_error(404)

    def _page(self) -> None:
        self._answer("text/html", b"<p>please log in</p>")

    def _empty(self) -> None:
        self._answer("image/jpeg", b"")

    def _large(self) -> None:
        self._answer("image/png", b"", told=MAX_BYTES + 1)
        self.server.ended.wait(10)  # who reads on has to wait

    def _large_untold(self) -> None:
        self._answer("image/png", b"", told=None)
        while not self.server.ended.is_set():
            self.wfile.write(b"x" * 1_000)

    def _torn(self) -> None:
        self._answer("image/png", b"x" * 90, told=100)

    def _hanging(self) -> None:
        self.server.ended.wait(10)

    def _dripping(self) -> None:
        self._answer("image/jpeg", b"", told=1_000)
        while not self.server.ended.wait(0.01):
            self.wfile.write(b"x")

    def _stream(self) -> None:
        self._answer("multipart/x-mixed-replace; boundary=frame", b"", told=None)
        while not self.server.ended.wait(0.01):
            part = jpeg(100)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
            self.wfile.write(head.encode() + part + b"\r\n")

    def _basic(self) -> None:
        expected = "Basic " + b64encode(b"me:s/cret").decode()
        self._ask_password(self.headers.get("Authorization") == expected, 'Basic realm="cam"')

    def _digest(self) -> None:
        given = dict(re.findall(r'(\w+)="?([^",]*)', self.headers.get("Authorization", "")))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()  # noqa: S324  # the scheme of cameras

        user, ask = md5("me:cam:s/cret"), md5(f"GET:{self.path}")
        middle = f"n1:{given.get('nc')}:{given.get('cnonce')}:auth"
        right = given.get("response") == md5(f"{user}:{middle}:{ask}")
        self._ask_password(right, 'Digest realm="cam", nonce="n1", qop="auth", algorithm=MD5')

    def _ask_password(self, right: bool, challenge: str) -> None:
        if right:
            self._answer("image/jpeg", jpeg(7))
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", challenge)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _answer(self, kind: str, body: bytes, told: int | None = -1) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if told is not None:
            self.send_header("Content-Length", str(len(body) if told == -1 else told))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """The camera's server; `away`: it answers with an error, `ended`: the test is over."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), NetworkCamera)
        self.asked, self.away, self.ended = 0, Event(), Event()

    def handle_error(self, *args: object) -> None:
        """Nothing: a client that hangs up is no error here."""

    def at(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/{path}"


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def test_a_snapshot_goes_on_byte_for_byte_and_is_fetched_anew(server: Server) -> None:
    camera = connect(server.at("image"), 10, MAX_BYTES)
    assert isinstance(camera, Snapshot)
    assert [camera.grab(), camera.grab()] == [jpeg(2), jpeg(3)]  # the first answer said what kind of camera it is
    assert camera.interval_s == 0.01


def test_a_camera_is_asked_directly_whatever_proxy_the_pc_has(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert Snapshot(server.at("image"), 10, MAX_BYTES).grab()


def test_a_healthy_snapshot_camera_is_judged_and_never_told_as_lost(server: Server, service: Service) -> None:
    def judged() -> int:
        service.turn(20)
        counts = service.engine.ledger.counts()
        return counts.get("frames.OK", 0) + counts.get("frames.NG", 0)

    with watched(Camera("cam", lambda: connect(server.at("part"), 1, 10 * MAX_BYTES), 1)) as camera:
        service.source = camera
        until(lambda: judged() >= 3)
    assert service.status()["trouble"] == {}
    assert "events.camera_away" not in service.engine.ledger.counts()


def test_a_snapshot_camera_comes_back_after_a_loss(server: Server) -> None:
    with watched(Camera("cam", lambda: connect(server.at("image"), 1, MAX_BYTES), 1)) as camera:
        assert camera.read(5000)
        server.away.set()
        until(lambda: camera.trouble is not None)
        assert "came HTTP 503 Service Unavailable" in str(camera.trouble)
        server.away.clear()
        until(lambda: camera.trouble is None)
        camera.read(0)
        assert camera.read(5000)


def test_a_stream_of_jpegs_gives_them_as_they_came(server: Server) -> None:
    camera = connect(server.at("stream"), 10, MAX_BYTES)
    assert isinstance(camera, Video)
    data = camera.grab()
    camera.close()
    assert data == jpeg(100)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert abs(image.astype(int) - 100).max() <= 2


@pytest.mark.parametrize(
    ("path", "came"),
    [
        ("missing", "HTTP 404 Not Found"),
        ("page", "an answer of type text/html"),
        ("empty", "0 of the 0 bytes of an image"),
        ("torn", "90 of the 100 bytes of an image"),
        ("large", "an image of more than source.max_bytes, 5,000 bytes"),
        ("large_untold", "an image of more than source.max_bytes, 5,000 bytes"),
    ],
)
def test_an_answer_that_is_no_image_is_told(server: Server, path: str, came: str) -> None:
    with pytest.raises(CameraLost, match=re.escape(f"camera {server.at('…')}; came {came};")):
        Snapshot(server.at(path), 10, MAX_BYTES).grab()


@pytest.mark.parametrize(
    ("path", "came"), [("hanging", "timed out"), ("dripping", r"\d+ bytes of an image within 0.1 s")]
)
def test_a_slow_camera_is_told(server: Server, monkeypatch: pytest.MonkeyPatch, path: str, came: str) -> None:
    monkeypatch.setattr("daemon.intake.snapshot.READ_S", 0.1)
    with pytest.raises(CameraLost, match=came):
        Snapshot(server.at(path), 10, MAX_BYTES).grab()


def test_a_camera_that_is_not_there_stays_told() -> None:
    with watched(Camera("cam", lambda: connect("http://127.0.0.1:1/", 1, MAX_BYTES), 1)) as camera:
        until(lambda: camera.trouble is not None)
        assert "Connection refused" in str(camera.trouble)
        assert camera.read(50) == []
        assert camera.trouble is not None


@pytest.mark.parametrize("path", ["basic", "digest"])
def test_a_password_opens_the_camera_and_is_never_told(server: Server, path: str) -> None:
    assert Snapshot(server.at(path, "me:s%2Fcret@"), 10, MAX_BYTES).grab() == jpeg(7)
    with pytest.raises(CameraLost, match="HTTP 401 Unauthorized") as error:
        Snapshot(server.at(f"{path}?pwd=wr0ng", "me:wr0ng@"), 10, MAX_BYTES).grab()
    assert "wr0ng" not in str(error.value)
    assert (error.value.__cause__, error.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("address", ["http://me:wr/0ng@127.0.0.1/", "http://me:wr0ng@127.0.0.1/a b?pwd=wr0ng"])
def test_an_address_that_cannot_be_read_is_told_without_its_password(address: str) -> None:
    with pytest.raises(CameraLost, match="an address that cannot be read") as error:
        Snapshot(address, 10, MAX_BYTES).grab()
    assert "0ng" not in str(error.value)
