"""GenICam by real harvesters, from a camera whose GenTL producer is compiled here: true images or clear words."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras import watched
from servers import need, until

from daemon.intake.cameras import Camera, CameraLost, Picture
from daemon.intake.genicam import GenICam
from daemon.intake.pixel_formats import Pixels, PixelsRejected
from daemon.service import Service
from policies.verdict import Verdict

MONO8, MONO12P, MONO12PACKED, MONO16, RGB8, BAYER_GR8 = (
    0x01080001,
    0x010C0047,
    0x010C0006,
    0x01100007,
    0x02180014,
    0x01080008,
)
RAMP = np.arange(5 * 4).reshape(4, 5)  # (H, W)
RAMP_12P = bytes.fromhex("00 10 00 02 30 00 04 50 00 06 70 00 08 90 00 0a b0 00 0c d0 00 0e f0 00 10 10 01 12 30 01")
RAMP_12 = (RAMP * 65_535 + 2047) // 4095  # the ramp over the full range of 16 bits


@pytest.fixture(scope="session")
def producer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the producer of tests/gentl."""
    path = tmp_path_factory.mktemp("gentl") / "ramp.cti"
    source = Path(__file__).parent / "gentl" / "producer.c"
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror")
    subprocess.run([need("gcc"), *flags, "-o", path, source], check=True)
    return str(path)


class Settled:
    """What the camera gives from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch, self._file = monkeypatch, folder / "frame"

    def __call__(self, frame: bytes | None, pixel_format: int, padding: int = 0, **more: int) -> None:
        told = {"GENTL_FORMAT": pixel_format, "GENTL_WIDTH": 5, "GENTL_HEIGHT": 4, "GENTL_PADDING": padding} | more
        for name, value in told.items():
            self._monkeypatch.setenv(name, str(value))
        if frame is not None:
            self._file.write_bytes(frame)
            self._monkeypatch.setenv("GENTL_FRAME", str(self._file))


@pytest.fixture
def gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settled:
    return Settled(monkeypatch, tmp_path)


def grabbed(producer: str, serial: str = "S1") -> Pixels | Picture:
    """The camera's image after more than it has buffers.

    In a thread, as in the service: in the main one harvesters takes Ctrl-C over.
    """

    def grab() -> Pixels | Picture:
        camera = GenICam(producer, serial)
        try:
            for _ in range(4):
                camera.grab()
            return camera.grab()
        finally:
            camera.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(grab).result()


def padded(lines: np.ndarray, padding: int) -> bytes:
    return b"".join(line.tobytes() + b"\xa5" * padding for line in lines)


@pytest.mark.parametrize("parts", [0, 1])
@pytest.mark.parametrize("padding", [0, 3])
def test_lines_with_padding_are_not_sheared(producer: str, gives: Settled, padding: int, parts: int) -> None:
    gives(padded(RAMP.astype(np.uint8), padding), MONO8, padding, GENTL_PARTS=parts)
    image = grabbed(producer)
    assert image.dtype == np.uint8
    assert np.array_equal(image, RAMP)


def test_packed_lines_of_odd_width_run_on(producer: str, gives: Settled) -> None:
    gives(RAMP_12P, MONO12P)
    image = grabbed(producer)
    assert image.dtype == np.uint16
    assert np.array_equal(image, RAMP_12)


def test_packed_lines_of_odd_width_with_padding(producer: str, gives: Settled) -> None:
    line = bytes.fromhex("00 00 01  00 02 03  00 04")  # 0, 0x010, 0x002, 0x030, 0x004 by GigE Vision's old packing
    gives((line + b"\xa5\xa5") * 4, MONO12PACKED, 2)
    expected = np.array([0, 0x010, 0x002, 0x030, 0x004]) * 65_535 / 4095
    assert np.array_equal(grabbed(producer), np.tile(np.rint(expected), (4, 1)))


def test_16_bits_and_colours(producer: str, gives: Settled) -> None:
    gives((RAMP * 3000).astype("<u2").tobytes(), MONO16)
    assert np.array_equal(grabbed(producer), RAMP * 3000)
    colour = np.stack([RAMP, RAMP + 100, RAMP + 200], axis=2)  # (H, W, 3)
    gives(padded(colour.astype(np.uint8), 1), RGB8, 1)
    assert np.array_equal(grabbed(producer), colour)
    gives(bytes([0, 90, 0, 90, 0] + [0] * 5) * 2, BAYER_GR8)  # G R G R G, B G B G B: only red is lit
    assert grabbed(producer)[1, 2].tolist() == [90, 0, 0]


@pytest.mark.parametrize(("number", "name"), [(0x011000B8, "Coord3D_C16"), (0x81080001, "0x81080001")])
def test_an_unknown_format_is_told(producer: str, gives: Settled, number: int, name: str) -> None:
    gives(bytes(100), number)
    with pytest.raises(PixelsRejected, match=f"came {name}; set PixelFormat to one of Mono8"):
        grabbed(producer)


def test_a_buffer_too_short_is_told(producer: str, gives: Settled) -> None:
    gives(bytes(19), MONO8)
    with pytest.raises(PixelsRejected, match="expected 20 bytes of 5×4 Mono8"):
        grabbed(producer)


def test_a_camera_that_gives_no_image_is_told(producer: str, gives: Settled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.intake.genicam.READ_MS", 100)
    gives(None, MONO8)
    with pytest.raises(CameraLost, match=r"no complete image within 0\.1 s"):
        grabbed(producer)


def test_an_image_of_which_a_part_was_lost_is_a_frame_without_pixels(
    producer: str, gives: Settled, service: Service
) -> None:
    gives(bytes(20), MONO8, GENTL_INCOMPLETE=1)
    with watched(Camera("cam", lambda: GenICam(producer, "S1"), 1)) as camera:
        (frame,) = camera.read(5000)
        assert camera.trouble is None, "it is there"
    judged = service.engine.judge(frame)
    assert judged.verdict is Verdict.UNKNOWN
    assert "lost on its way from the camera" in judged.reason


def test_a_camera_that_is_not_there_is_told(producer: str, gives: Settled, tmp_path: Path) -> None:
    gives(bytes(20), MONO8)
    with pytest.raises(CameraLost, match=r"camera S2; came cameras S1 of .*ramp.cti"):
        grabbed(producer, "S2")
    with pytest.raises(CameraLost, match=r"OSError: .*none.cti: cannot open shared object file"):
        grabbed(str(tmp_path / "none.cti"))
    (tmp_path / "text.cti").write_text("no library")
    with pytest.raises(CameraLost, match=r"OSError: .*text.cti: "):
        grabbed(str(tmp_path / "text.cti"))


def test_a_camera_whose_format_is_set_right_comes_back(producer: str, gives: Settled) -> None:
    gives(RAMP_12P, 0x81080001)
    with watched(Camera("cam", lambda: GenICam(producer, "S1"), 1)) as camera:
        until(lambda: camera.trouble is not None)
        assert "PixelFormat" in str(camera.trouble)
        gives(RAMP_12P, MONO12P)
        until(lambda: camera.trouble is None)
        (frame,) = camera.read(5000)
    png = cv2.imdecode(np.frombuffer(frame.data or b"", np.uint8), cv2.IMREAD_UNCHANGED)
    assert png.dtype == np.uint16
    assert np.array_equal(png, RAMP_12)
