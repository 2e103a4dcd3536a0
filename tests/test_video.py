"""Streams of cameras: pixels as FFmpeg gives them, damage told until the next whole picture, no password told."""

from __future__ import annotations

import contextlib
import io
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from cameras import watched
from conftest import details, frame, rows
from pictures import png
from servers import until

from daemon.intake.cameras import Camera, CameraLost, Picture
from daemon.intake.decode import read
from daemon.intake.raw_image import ImageRejected
from daemon.intake.video import Video
from daemon.service import Service

PICTURES, EVERY = 24, 8  # pictures of a stream, one in so many a key frame
SLICE, KEY_SLICE = 1, 5  # kinds of H.264 units (ITU-T H.264, table 7-1)


def pictures(moves_px: int = 3, noise: float = 3.0) -> list[np.ndarray]:
    """A part that moves past a camera with a sensor's noise."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (6, 8, 3)).repeat(16, 0).repeat(16, 1)
    shots = (np.roll(scene, moves_px * n, axis=1) + rng.normal(0, noise, scene.shape) for n in range(PICTURES))
    return [np.clip(shot, 0, 255).astype(np.uint8) for shot in shots]


def encoded(codec: str, container: str, shots: Sequence[np.ndarray] = (), **options: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, _ = pictures()[0].shape
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for picture in shots or pictures():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return out.getvalue()


def h264_units() -> list[bytes]:
    """The units of a stream of four slices a picture."""
    data = encoded("libx264", "h264", g=str(EVERY), bf="0", **{"x264-params": "slices=4"})
    starts = [at for at in range(len(data) - 3) if data[at : at + 3] == b"\0\0\1"]
    return [data[a:b] for a, b in itertools.pairwise([*starts, len(data)])]


def kind(unit: bytes) -> int:
    return unit[3] & 31


def slices(units: Sequence[bytes]) -> list[int]:
    """Where the slices are that tell changes; the pictures before them begin with a key frame's four."""
    return [place for place, unit in enumerate(units) if kind(unit) == SLICE]


def seen(path: Path) -> list[Any]:
    video, images = Video(str(path)), []
    with contextlib.suppress(CameraLost):
        while True:
            images.append(video.grab())
    video.close()
    return images


def test_pixels_are_those_that_opencv_gives(tmp_path: Path) -> None:
    path = tmp_path / "a.h264"
    path.write_bytes(b"".join(h264_units()))
    images, camera = seen(path), cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    for image in images:
        assert np.array_equal(image.pixels, camera.read()[1][:, :, ::-1])
    assert len(images) == PICTURES


def test_motion_jpeg_is_given_as_its_files_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mjpeg"
    whole = encoded("mjpeg", "mjpeg", q="3")
    path.write_bytes(whole)
    files = seen(path)
    assert b"".join(files) == whole
    assert len(files) == PICTURES
    path.write_bytes(b"".join(file[: len(file) // 2] for file in files))
    torn = seen(path)
    assert torn
    for file in torn:
        with pytest.raises(ImageRejected):
            read(file, 10**6)


def without_a_slice(units: list[bytes], at: int) -> list[bytes]:
    return units[:at] + units[at + 1 :]


def half_a_slice(units: list[bytes], at: int) -> list[bytes]:
    return [*units[:at], units[at][: len(units[at]) // 2], *units[at + 1 :]]


@pytest.mark.parametrize("harm", [without_a_slice, half_a_slice])
@pytest.mark.parametrize("picture", [1, 3, EVERY - 1])
def test_a_damaged_picture_and_all_that_follow_from_it_are_told(
    tmp_path: Path, harm: Callable[[list[bytes], int], list[bytes]], picture: int
) -> None:
    units, path = h264_units(), tmp_path / "a.h264"
    path.write_bytes(b"".join(harm(units, slices(units)[4 * (picture - 1) + 2])))
    told = [image.problem is not None for image in seen(path)]
    assert told == [picture <= number < EVERY for number in range(PICTURES)]


class Slow:
    """A camera that gives one image again and again."""

    interval_s = 0.005

    def __init__(self, image: Picture) -> None:
        self.image = image

    def grab(self) -> Picture:
        return self.image

    def close(self) -> None:
        """Nothing."""


def test_a_damaged_picture_is_unknown_and_kept_and_the_camera_in_trouble(service: Service, tmp_path: Path) -> None:
    units, path = h264_units(), tmp_path / "a.h264"
    path.write_bytes(b"".join(without_a_slice(units, slices(units)[0])))
    damaged = next(image for image in seen(path) if image.problem)
    with watched(Camera("cam", lambda: Slow(damaged), 1)) as camera:
        service.source = camera
        until(lambda: service.turn(5) or "camera" in service.trouble)
    refused = rows(service.engine.ledger, "SELECT * FROM frames ORDER BY seq")
    assert len(refused) == 3
    for row in refused:
        assert row["verdict"] == "UNKNOWN"
        assert "made up" in row["reason"]
        kept = service.engine.kept.image(row["kept"])
        assert kept is not None
        assert np.array_equal(read(kept, 10**6).pixels, damaged.pixels)
    (away,) = details(service.engine.ledger, "camera_away")
    assert "made up" in str(away["error"])


@pytest.mark.parametrize(("noise", "frozen"), [(3.0, False), (0.0, True)])
def test_a_frozen_camera_is_told_and_a_still_scene_is_not(tmp_path: Path, noise: float, frozen: bool) -> None:
    """Only key frames tell them apart."""
    path = tmp_path / "a.h264"
    shots = pictures(moves_px=0, noise=noise)
    path.write_bytes(encoded("libx264", "h264", shots, g="4", bf="0", qp="34", **{"x264-params": "scenecut=0"}))
    images = seen(path)
    same = [np.array_equal(one.pixels, other.pixels) for one, other in itertools.pairwise(images)]
    assert frozen or any(same), "an encoder tells that nothing has changed"
    assert [image.problem is not None for image in images] == [frozen and number >= 8 for number in range(PICTURES)]


def test_pictures_of_a_stream_may_repeat(service: Service) -> None:
    for number in range(5):
        judged = service.engine.judge(replace(frame(f"f{number}", png(504)), may_repeat=True))
        assert judged.score is not None


@pytest.mark.parametrize("images", [1, 2, 3])
def test_three_images_in_a_row_that_cannot_be_judged_are_trouble(service: Service, images: int) -> None:
    for number in range(images):
        service.streams.send("frames", {"frame_id": f"n{number}", "image": b"no image"})
    for _ in range(3):
        service.turn(0)
    assert ("camera" in service.trouble) == (images == 3)
    service.streams.send("frames", {"frame_id": "good", "image": png(504)})
    service.turn(0)
    service.turn(0)
    assert service.trouble == {}


def test_an_address_that_cannot_be_opened_is_told_without_its_password() -> None:
    with pytest.raises(CameraLost) as told:
        Video("rtsp://me:secret@127.0.0.1:1/live?key=hidden")
    assert "rtsp://127.0.0.1:1/…" in str(told.value)
    assert "cannot be opened: Connection refused" in str(told.value)
    assert not {"secret", "hidden"} & set(str(told.value).replace("=", " ").replace(":", " ").split())
    assert told.value.__suppress_context__


class Refusing(BaseHTTPRequestHandler):
    """A camera that answers with an error, or with what is no stream."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/").partition("?")[0])
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"no stream" * 100)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_whatever_goes_wrong_no_password_is_told(status: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(CameraLost) as told:
            Video(f"http://me:secret@127.0.0.1:{server.server_port}/{status}?key=hidden").grab()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "secret" not in str(told.value)
    assert "hidden" not in str(told.value)


class Waiting:
    """A camera whose driver never comes back."""

    interval_s = 0.0

    def __init__(self) -> None:
        self.ended = threading.Event()

    def grab(self) -> Picture:
        self.ended.wait(60)
        raise CameraLost(expected="an image", came="the end", do="nothing")

    def close(self) -> None:
        """Nothing."""


def test_a_camera_that_is_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.intake.cameras.READ_MS", 20)
    waiting = Waiting()
    with watched(Camera("cam", lambda: waiting, 1)) as camera:
        until(lambda: camera.read(5) or camera.trouble)
        assert "no image for" in str(camera.trouble)
        waiting.ended.set()
