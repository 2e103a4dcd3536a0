"""Cameras: the newest image at its time, 16 bits kept, a lost camera told once and tried again."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest
from cameras import watched
from conftest import rows
from pictures import png
from servers import until

from daemon.intake.cameras import Camera, CameraLost
from daemon.intake.decode import decode
from daemon.intake.pixel_formats import Pixels
from daemon.intake.registry import open_source
from daemon.intake.video import Video
from daemon.service import Service
from daemon.settings.addresses import without_password
from daemon.settings.load import ConfigError, Settings
from daemon.streams import RedisStreams


class Scripted:
    """A camera that gives what a test says, and fails when it says so."""

    interval_s = 0.0

    def __init__(self) -> None:
        self.shown = 0
        self.broken = False
        self.opened = 0
        self.image: Pixels | bytes | None = None

    def connect(self) -> Scripted:
        if self.broken:
            raise CameraLost(expected="a cable", came="none", do="plug it in")
        self.opened += 1
        return self

    def grab(self) -> Pixels | bytes:
        if self.broken:
            raise CameraLost(expected="an image", came="none", do="plug it in")
        time.sleep(0.002)
        self.shown += 1
        if self.image is not None:
            return self.image
        return np.full((32, 32, 3), self.shown % 256, dtype=np.uint8)

    def close(self) -> None:
        """Nothing."""


def test_the_newest_image_is_given_and_none_is_queued() -> None:
    scripted = Scripted()
    with watched(Camera("cam", scripted.connect, 50)) as camera:
        until(lambda: scripted.shown > 20)
        (one,) = camera.read(1000)
        assert decode(one.data or b"", 32, 10_000)[0, 0, 0] >= 20
        assert camera.read(0) == []
        (two,) = camera.read(1000)
        assert two.sent_ms > one.sent_ms
        assert two.frame_id != one.frame_id


@pytest.mark.parametrize(
    "image",
    [
        np.array([[0, 1], [257, 65_535]], np.uint16),
        np.array([[[0, 1, 2], [300, 400, 65_535]]], np.uint16),
        np.array([[0, 255]], np.uint8),
        np.array([[[1, 2, 3]]], np.uint8),
    ],
)
def test_pixels_become_a_png_of_their_own_bits(image: Pixels) -> None:
    scripted = Scripted()
    scripted.image = image
    with watched(Camera("cam", scripted.connect, 1)) as camera:
        (frame,) = camera.read(5000)
    png = cv2.imdecode(np.frombuffer(frame.data or b"", np.uint8), cv2.IMREAD_UNCHANGED)
    assert png.dtype == image.dtype
    assert np.array_equal(png if image.ndim == 2 else png[:, :, ::-1], image)


def test_an_image_file_goes_on_as_it_came() -> None:
    scripted = Scripted()
    scripted.image = b"a file"
    with watched(Camera("cam", scripted.connect, 1)) as camera:
        (frame,) = camera.read(5000)
    assert frame.data == b"a file"


def test_a_camera_with_an_interval_is_not_asked_before() -> None:
    scripted = Scripted()
    scripted.interval_s = 3600.0
    with watched(Camera("cam", scripted.connect, 1)) as camera:
        assert len(camera.read(5000)) == 1
        assert camera.read(50) == []
    assert (scripted.shown, scripted.opened) == (1, 1)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("0", "0"),
        ("S1-2023", "S1-2023"),
        ("rtsp://cam:554", "rtsp://cam:554"),
        ("rtsp://cam:554/user=me_password=secret", "rtsp://cam:554/…"),
        ("rtsp:/me:secret@cam/live", "…"),
        ("me:secret@cam:554/live", "…"),
        ("rtsp://me:secret@cam:554/live", "rtsp://cam:554/…"),
        ("http://me:se@cret@cam/a?user=me&pwd=secret#x", "http://cam/…"),
        ("http://[fe80::1]:80/a", "http://[fe80::1]:80/…"),
        ("http://me:sec/ret@cam/a", "http://…"),
        ("http://me:sec?ret@cam/a", "http://…"),
        ("http://me:sec#ret@cam/a", "http://…"),
        ("memory://", "memory://"),
        ("redis://:secret@host:6379/0", "redis://host:6379/…"),
    ],
)
def test_an_address_is_told_without_its_password(address: str, told: str) -> None:
    assert without_password(address) == told


def test_a_driver_that_hangs_does_not_keep_the_service_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, reached = threading.Event(), threading.Event()

    def connect() -> Scripted:
        reached.set()
        hanging.wait(60)
        return Scripted()

    monkeypatch.setattr("daemon.intake.cameras.CLOSE_S", 0.05)
    camera = Camera("cam", connect, 50)
    assert reached.wait(10)
    camera.close()
    assert not hanging.is_set(), "it was let go while its driver still hung"
    hanging.set()


def test_a_lost_camera_is_told_once_and_comes_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.intake.cameras.BACKOFF_FIRST_S", 1.0)  # the first trouble is seen before the next
    scripted = Scripted()
    scripted.image = png(504)
    with watched(Camera("cam", scripted.connect, 1)) as camera:
        service.source = camera
        until(lambda: camera.read(10))
        scripted.broken = True
        until(lambda: camera.trouble is not None)
        for _ in range(3):
            service.turn(5)
        assert "expected an image" in service.status()["trouble"]["camera"]  # type: ignore[index]  # a plain dict
        scripted.broken = False
        until(lambda: camera.trouble is None)
        service.turn(200)
    counts = service.engine.ledger.counts()
    assert (counts["events.camera_away"], counts["events.camera_back"]) == (1, 1)
    assert scripted.opened == 2
    assert service.status()["trouble"] == {}
    (row,) = rows(service.engine.ledger, "SELECT * FROM frames WHERE source = 'camera' ORDER BY seq LIMIT 1")
    assert row["verdict"] in {"OK", "NG"}


class Stream(BaseHTTPRequestHandler):
    """A network camera: motion JPEG over HTTP, some images a connection."""

    images = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(12):
            Stream.images += 1
            jpeg = cv2.imencode(".jpg", np.full((64, 96, 3), (10, 20, 200), dtype=np.uint8))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return
            time.sleep(0.02)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


def test_a_network_camera_that_hangs_up_is_opened_again() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/"
    frames = []
    with watched(Camera("cam", lambda: Video(address), 1)) as camera:
        until(lambda: frames.extend(camera.read(20)) or Stream.images > 30)
    server.shutdown()
    thread.join()
    server.server_close()
    red, green, blue = decode(frames[-1].data or b"", 64, 10_000)[20, 20]
    assert red > 150 > green, "channels are in RGB order"
    assert blue < 100
    assert len({frame.frame_id for frame in frames}) == len(frames) > 5


def test_a_camera_that_is_not_there_is_told() -> None:
    with pytest.raises(CameraLost, match="cannot be opened"):
        Video("http://127.0.0.1:1/")


@pytest.mark.parametrize(
    ("source", "says"), [({"kind": "camera"}, "source.camera"), ({"kind": "genicam", "camera": "S1"}, "cti")]
)
def test_a_camera_that_is_not_named_is_told(
    settings: Settings, wire: RedisStreams, source: dict[str, str], says: str
) -> None:
    incomplete = settings.model_copy(update={"source": settings.source.model_copy(update=source)})
    with pytest.raises(ConfigError, match=says):
        open_source(incomplete, wire)
