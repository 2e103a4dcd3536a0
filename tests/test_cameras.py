"""Cameras: the newest image at its time, a lost camera told once and tried again, GenICam behind the same source."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from conftest import rows

from daemon.intake.cameras import Camera, CameraLost
from daemon.intake.decode import decode
from daemon.intake.genicam import GenICam
from daemon.intake.opencv import OpenCv
from daemon.intake.registry import open_source
from daemon.service import Service
from daemon.settings.load import ConfigError, Settings
from daemon.streams import RedisStreams
from memory.features import Image


class Scripted:
    """A camera that gives what a test says, and fails when it says so."""

    def __init__(self) -> None:
        self.shown = 0
        self.broken = False
        self.opened = 0

    def connect(self) -> Scripted:
        if self.broken:
            raise CameraLost(expected="a cable", came="none", do="plug it in")
        self.opened += 1
        return self

    def grab(self) -> Image:
        if self.broken:
            raise CameraLost(expected="an image", came="none", do="plug it in")
        time.sleep(0.002)
        self.shown += 1
        return np.full((32, 32, 3), self.shown % 256, dtype=np.uint8)

    def close(self) -> None:
        """Nothing."""


@contextmanager
def watched(camera: Camera) -> Iterator[Camera]:
    try:
        yield camera
    finally:
        camera.close()


def until(holds: Any) -> None:
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to pass")


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
    with watched(Camera("cam", lambda: OpenCv(address), 1)) as camera:
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
        OpenCv("http://127.0.0.1:1/")


class FakeHarvester:
    """As harvesters.core.Harvester behaves; the simulator of the GenICam group is not on PyPI."""

    kind = "RGB8"
    log: ClassVar[list[str]] = []

    def add_file(self, path: str) -> None:
        if not path.endswith(".cti"):
            raise FileNotFoundError(path)

    def update(self) -> None:
        """Nothing."""

    def create(self, wanted: dict[str, str]) -> FakeHarvester:
        self.log.append(wanted["serial_number"])
        return self

    def start(self) -> None:
        self.log.append("start")

    def stop(self) -> None:
        self.log.append("stop")

    def destroy(self) -> None:
        self.log.append("destroy")

    def reset(self) -> None:
        self.log.append("reset")

    @contextmanager
    def fetch(self, timeout: float) -> Iterator[SimpleNamespace]:
        assert timeout > 0
        channels = 1 if self.kind == "Mono8" else 3
        part = SimpleNamespace(
            height=4, width=6, data_format=self.kind, data=np.arange(4 * 6 * channels, dtype=np.uint8)
        )
        yield SimpleNamespace(payload=SimpleNamespace(components=[part]))


@pytest.fixture
def genicam(monkeypatch: pytest.MonkeyPatch) -> type[FakeHarvester]:
    core = ModuleType("harvesters.core")
    core.Harvester = FakeHarvester  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "harvesters", ModuleType("harvesters"))
    monkeypatch.setitem(sys.modules, "harvesters.core", core)
    monkeypatch.setattr(FakeHarvester, "log", [])
    return FakeHarvester


@pytest.mark.parametrize(("kind", "first"), [("RGB8", (0, 1, 2)), ("BGR8", (2, 1, 0)), ("Mono8", (0, 0, 0))])
def test_a_genicam_camera_gives_rgb(
    genicam: type[FakeHarvester], monkeypatch: pytest.MonkeyPatch, kind: str, first: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(genicam, "kind", kind)
    camera = GenICam("maker.cti", "S1")
    image = camera.grab()
    assert (image.shape, tuple(image[0, 0])) == ((4, 6, 3), first)
    camera.close()
    assert genicam.log == ["S1", "start", "stop", "destroy", "reset"]


def test_a_genicam_camera_that_cannot_be_used_says_why(
    genicam: type[FakeHarvester], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CameraLost, match="FileNotFoundError"):
        GenICam("none", "S1")
    monkeypatch.setattr(genicam, "kind", "BayerRG8")
    with pytest.raises(CameraLost, match="PixelFormat"):
        GenICam("maker.cti", "S1").grab()


@pytest.mark.parametrize(
    ("source", "says"), [({"kind": "camera"}, "source.camera"), ({"kind": "genicam", "camera": "S1"}, "cti")]
)
def test_a_camera_that_is_not_named_is_told(
    settings: Settings, wire: RedisStreams, source: dict[str, str], says: str
) -> None:
    incomplete = settings.model_copy(update={"source": settings.source.model_copy(update=source)})
    with pytest.raises(ConfigError, match=says):
        open_source(incomplete, wire)
