"""Pixel formats: every format against bits written one by one, padding and shared bytes told apart, clear refusals."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.intake.pixel_formats import FORMATS, PixelsRejected, image_from_buffer

Values = npt.NDArray[np.int64]
SIDE, SEED = st.integers(1, 9), st.integers(0, 99)
GREY = [name for name in FORMATS if name.startswith("Mono")]
COLOUR = [name for name in FORMATS if name.startswith(("RGB", "BGR"))]
BAYER = [name for name in FORMATS if name.startswith("Bayer")]


def bits_of(name: str) -> int:
    return int("".join(letter for letter in name if letter.isdigit()))


def written(values: Iterable[int], name: str) -> bytes:
    """Values bit by bit, as the standards' tables draw them; unused bits are ones, but zeros at the very end."""
    bits, stream = bits_of(name), []
    for index, value in enumerate(values):
        one = [value >> bit & 1 for bit in range(bits)]  # lowest first
        if name.endswith("p"):
            stream += one
        elif not name.endswith("Packed"):
            stream += one + [0] * (-bits % 8)
        else:
            low, high = one[: bits - 8] + [1] * (12 - bits), one[bits - 8 :]
            if index % 2 == 0:
                stream += high + low
            else:
                stream += low + high
    stream += [0] * (-len(stream) % 8)
    return bytes(sum(bit << place for place, bit in enumerate(stream[at : at + 8])) for at in range(0, len(stream), 8))


def lines_of(values: Values, name: str, padding: int) -> bytes:
    """Each line from a byte of its own, with bytes after it that are no pixels."""
    return b"".join(written(line, name) + b"\xa5" * padding for line in values.reshape(len(values), -1).tolist())


def full_range(values: Values, name: str) -> Values:
    largest = 2 ** bits_of(name) - 1
    return values if largest == 255 else (2 * values * 65_535 + largest) // (2 * largest)


def some_image(seed: int, name: str, height: int, width: int) -> tuple[Values, Values]:
    """Values as a camera stores them, the largest first and zero last, and the image that they are."""
    largest = 2 ** bits_of(name) - 1
    shape = (height, width, 3) if name in COLOUR else (height, width)
    values = np.random.default_rng(seed).integers(0, largest + 1, shape)
    values.flat[0], values.flat[-1] = largest, 0
    return values, full_range(values[:, :, ::-1] if name.startswith("BGR") else values, name)


@pytest.mark.parametrize(
    ("name", "data", "stored"),
    [
        ("Mono10p", "01 08 30 00 01", (1, 2, 3, 4)),
        ("Mono12p", "bc 3a 12", (0xABC, 0x123)),
        ("Mono12Packed", "ab 3c 12", (0xABC, 0x123)),
        ("Mono10Packed", "aa 13 f0", (0x2AB, 0x3C1)),
        ("Mono12", "bc 0a 23 01", (0xABC, 0x123)),
    ],
)
def test_the_bytes_of_the_standards_give_their_values(name: str, data: str, stored: tuple[int, ...]) -> None:
    image = image_from_buffer(bytes.fromhex(data), len(stored), 1, name)
    assert image.tolist() == full_range(np.array([stored]), name).tolist()


@pytest.mark.parametrize("name", [*GREY, *COLOUR])
@settings(max_examples=30)
@given(width=SIDE, height=SIDE, padding=st.integers(1, 5), seed=SEED)
def test_padding_after_each_line_is_left_out(name: str, width: int, height: int, padding: int, seed: int) -> None:
    stored, expected = some_image(seed, name, height, width)
    data = lines_of(stored, name, padding)
    for whole in (data, data[:-padding], data + b"chunk data"):
        assert np.array_equal(image_from_buffer(whole, width, height, name, padding), expected)


@pytest.mark.parametrize("name", [*GREY, *COLOUR])
@settings(max_examples=30)
@given(width=SIDE, height=SIDE, seed=SEED)
def test_lines_without_padding_run_on(name: str, width: int, height: int, seed: int) -> None:
    stored, expected = some_image(seed, name, height, width)
    image = image_from_buffer(written(stored.reshape(-1).tolist(), name), width, height, name)
    assert image.dtype == (np.uint8 if bits_of(name) == 8 else np.uint16)
    assert np.array_equal(image, expected)


def test_lines_that_share_a_byte_and_lines_that_do_not_are_told_apart() -> None:
    values = np.arange(5 * 4).reshape(4, 5) * 200
    own, shared = lines_of(values, "Mono12p", 0), written(values.reshape(-1).tolist(), "Mono12p")
    assert (len(own), len(shared)) == (32, 30)
    expected = full_range(values, "Mono12p")
    assert np.array_equal(image_from_buffer(own, 5, 4, "Mono12p"), expected)
    assert np.array_equal(image_from_buffer(shared, 5, 4, "Mono12p"), expected)


@pytest.mark.parametrize("name", BAYER)
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_bayer_mosaic_of_one_colour_gives_that_colour(name: str, channel: int) -> None:
    cell = {"RG": ((0, 1), (1, 2)), "GR": ((1, 0), (2, 1)), "GB": ((1, 2), (0, 1)), "BG": ((2, 1), (1, 0))}[name[5:7]]
    lit = np.tile(np.array(cell) == channel, (4, 4))[:7, :7]
    image = image_from_buffer(lines_of(lit * (2 ** bits_of(name) - 1), name, 3), 7, 7, name, 3)
    inner = image[2:-2, 2:-2]
    full = 255 if bits_of(name) == 8 else 65_535
    assert (inner[:, :, channel] == full).all()
    assert not np.delete(inner, channel, axis=2).any()


@pytest.mark.parametrize("name", ["Mono8", "RGB8", "Mono16", "Mono12p"])
def test_an_image_stays_when_the_driver_uses_its_buffer_again(name: str) -> None:
    buffer = bytearray(4 * 4 * 3)
    image = image_from_buffer(memoryview(buffer), 4, 4, name)
    buffer[:] = b"\xff" * len(buffer)
    assert not image.any()


def test_a_camera_s_16_bits_survive_a_png() -> None:
    values = np.arange(12 * 16).reshape(12, 16) * 21
    image = image_from_buffer(lines_of(values, "Mono12", 0), 16, 12, "Mono12")
    back = cv2.imdecode(cv2.imencode(".png", image)[1], cv2.IMREAD_UNCHANGED)
    assert np.array_equal(back, full_range(values, "Mono12"))


@pytest.mark.parametrize("name", [None, "", "Mono1p", "YUV422_8", "Coord3D_C16", "0x81080001"])
def test_an_unknown_format_is_told_with_those_that_can_be_read(name: str | None) -> None:
    with pytest.raises(PixelsRejected, match=r"set PixelFormat to one of Mono8, .*Mono12p.*Bayer") as error:
        image_from_buffer(bytes(1000), 4, 4, name)
    assert error.value.came == (name or "none")


@pytest.mark.parametrize(
    ("name", "size", "padding"),
    [("Mono8", 4 * 8 - 1, 0), ("Mono8", 4 * 10 - 3, 2), ("Mono12p", 47, 0), ("RGB16", 191, 0)],
)
def test_a_buffer_too_short_is_refused(name: str, size: int, padding: int) -> None:
    image_from_buffer(bytes(size + 1), 8, 4, name, padding)
    with pytest.raises(PixelsRejected, match=rf"expected {size + 1} bytes of 8×4 {name}.*came {size}"):
        image_from_buffer(bytes(size), 8, 4, name, padding)


@pytest.mark.parametrize(("width", "height", "padding"), [(0, 4, 0), (4, 0, 0), (4, 4, -1)])
def test_an_image_without_pixels_is_refused(width: int, height: int, padding: int) -> None:
    with pytest.raises(PixelsRejected, match="Width and Height"):
        image_from_buffer(bytes(64), width, height, "Mono8", padding)


def test_a_mosaic_too_small_to_interpolate_is_refused() -> None:
    with pytest.raises(PixelsRejected, match="at least 3×3"):
        image_from_buffer(bytes(64), 2, 8, "BayerRG8")


def test_values_aligned_to_the_highest_bit_are_refused() -> None:
    with pytest.raises(PixelsRejected, match="UnpackingMode"):
        image_from_buffer(np.array([[4095, 4096]], "<u2").tobytes(), 2, 1, "Mono12")
