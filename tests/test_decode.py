"""From image bytes to 8 bits and one size: bad bytes are refused with a reason, good ones keep what they show."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from image_files import packed_tiff, scene, tiff
from pictures import UNUSABLE, encoded, grey

from daemon.datasets.rendered import part
from daemon.intake.decode import (
    ImageRejected,
    RawImage,
    blank,
    decode,
    eight_bits,
    found_bits,
    pictured,
    read,
    read_allowed,
    resized,
)
from daemon.settings.models import SourceSettings

LIMIT = 1_000_000


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_bytes_are_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(ImageRejected) as raised:
        decode(data, 32, LIMIT)
    assert raised.value.expected
    assert raised.value.do


@given(
    data=st.binary(max_size=300),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"BM"]),
)
def test_no_bytes_whatever_raise_anything_else(data: bytes, head: bytes) -> None:
    try:
        image = decode(head + data, 32, LIMIT)
    except ImageRejected:
        return
    assert image.shape == (32, 32, 3)


GOOD = {
    "grey": (encoded(grey(100)), (100, 100, 100)),
    "RGB": (encoded(PIL.Image.new("RGB", (40, 30), (10, 20, 30))), (10, 20, 30)),
    "RGBA, alpha dropped": (encoded(PIL.Image.new("RGBA", (40, 40), (10, 20, 30, 5))), (10, 20, 30)),
    "palette": (encoded(PIL.Image.new("RGB", (40, 40), (255, 0, 0)).convert("P")), (255, 0, 0)),
    "16 bits, divided and never stretched": (
        encoded(PIL.Image.fromarray(np.full((40, 40), 100 * 257, dtype=np.uint16))),
        (100, 100, 100),
    ),
    "CMYK": (encoded(PIL.Image.new("CMYK", (40, 40), (0, 0, 0, 155)), "JPEG", quality=100), (100, 100, 100)),
    "one bit": (encoded(PIL.Image.new("1", (40, 40), 1)), (255, 255, 255)),
}


@pytest.mark.parametrize(("data", "colour"), GOOD.values(), ids=GOOD.keys())
def test_usual_kinds_are_converted_as_documented(data: bytes, colour: tuple[int, int, int]) -> None:
    image = decode(data, 32, LIMIT)
    assert image.dtype == np.uint8
    assert image.shape == (32, 32, 3)
    assert np.abs(image.astype(int) - colour).max() <= 3


def test_a_path_outside_the_allowed_roots_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "fine.png").write_bytes(b"fine")
    assert read_allowed(inside / "fine.png", (inside,), 10) == b"fine"
    for path in (outside / "secret.png", inside / ".." / "out" / "secret.png", inside / "link.png"):
        with pytest.raises(ImageRejected, match="allowed_roots"):
            read_allowed(path, (inside,), 10)
    for path in (inside / "missing.png", inside, Path("\0bad")):
        with pytest.raises(ImageRejected):
            read_allowed(path, (inside,), 10)
    with pytest.raises(ImageRejected, match="max_bytes"):
        read_allowed(inside / "fine.png", (inside,), 3)
    with pytest.raises(ImageRejected, match="allowed_roots"):
        read_allowed(inside / "fine.png", (), 10)


def test_a_crafted_file_of_many_frames_is_refused_without_counting_them() -> None:
    one = struct.pack("<2sHI", b"II", 42, 8)
    size, count = 18, 60_000
    entry = struct.pack("<HHHI4s", 1, 256, 3, 1, b"\x20\x00\x00\x00")
    body = b"".join(entry + struct.pack("<I", 8 + (i + 1) * size if i + 1 < count else 0) for i in range(count))
    with pytest.raises(ImageRejected):
        decode(one + body, 32, 10_000)


@pytest.mark.parametrize("kind", ["EPS", "ICNS", "TGA"])
def test_formats_that_no_camera_sends_are_not_read(kind: str) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (32, 32)).save(buffer, kind)
    with pytest.raises(ImageRejected):
        decode(buffer.getvalue(), 32, 10_000)


def test_8_bits_stay_and_16_bits_are_divided_by_257() -> None:
    every = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(eight_bits(RawImage(every, None), None)[:, :, 0], np.rint(every / 257))
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for bits in (None, 8, 12, 16):
        np.testing.assert_array_equal(eight_bits(RawImage(eight, 8), bits)[:, :, 2], eight)


@given(value=st.integers(0, 65_535), bits=st.sampled_from([8, 10, 12, 14, 16]))
def test_the_window_is_the_version_s_and_never_the_image_s(value: int, bits: int) -> None:
    raw = RawImage(np.full((16, 16), value, np.uint16), None)
    if value < 2**bits:
        assert eight_bits(raw, bits)[0, 0].tolist() == [round(value * 255 / (2**bits - 1))] * 3
    else:
        with pytest.raises(ImageRejected):
            eight_bits(raw, bits)


def test_a_value_beyond_the_file_s_own_word_blames_the_camera() -> None:
    with pytest.raises(ImageRejected, match=r"up to 1023 \(10 bits\), as the file says; .* 5000; check the camera"):
        eight_bits(RawImage(np.full((16, 16), 5000, np.uint16), 10), 16)


def test_a_value_beyond_the_taught_window_is_told_in_plain_words() -> None:
    with pytest.raises(ImageRejected) as raised:
        eight_bits(RawImage(np.full((16, 16), 5000, np.uint16), None), 12)
    assert raised.value.expected == "values up to 4095 (12 bits), as taught"
    assert raised.value.came == "a value of 5000"
    assert raised.value.do == "set source.bits and teach again"


def test_the_file_s_own_word_on_its_depth_wins() -> None:
    raw = read(packed_tiff(scene(12), 12, "<"), LIMIT)
    np.testing.assert_array_equal(eight_bits(raw, 16), eight_bits(raw, None))
    assert eight_bits(raw, 16).max() == 255


@pytest.mark.parametrize(
    ("largest", "bits"), [(0, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4096, 14), (16_384, 16), (65_535, 16)]
)
def test_the_depth_found_is_the_smallest_that_holds_every_value(largest: int, bits: int) -> None:
    assert found_bits(largest) == bits


LINES = [(230, 630), (2000, 100), (630, 230), (100, 2000)]


@pytest.mark.parametrize(("width", "height"), LINES)
@pytest.mark.parametrize("vertical", [True, False])
def test_a_line_of_one_pixel_is_found_at_every_place(width: int, height: int, vertical: bool) -> None:
    length = width if vertical else height
    shrinks = length > 256
    for place in range(length):
        image = np.zeros((height, width, 3), np.uint8)
        image[(slice(None), place) if vertical else (place, slice(None))] = 255
        across = resized(image, 256, 256)[:, :, 0].max(axis=0 if vertical else 1)
        if shrinks:  # averaged: all of the line's light is there, on two pixels at most
            assert abs(int(across.sum()) - 255 * 256 / length) <= 1, place
            assert np.count_nonzero(across) <= 2
        else:
            assert across.max() >= 127, place


@given(size=st.tuples(*[st.integers(16, 90)] * 2), to=st.tuples(*[st.integers(16, 90)] * 2), seed=st.integers(0, 99))
def test_where_both_axes_shrink_or_grow_it_is_opencv_s_one_resize(
    size: tuple[int, int], to: tuple[int, int], seed: int
) -> None:
    (width, height), (to_width, to_height) = size, to
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    got = resized(image, *to)
    assert got.shape == (to_height, to_width, 3)
    if to_width <= width and to_height <= height and size != to:
        np.testing.assert_array_equal(got, cv2.resize(image, to, interpolation=cv2.INTER_AREA))
    elif to_width >= width and to_height >= height:
        np.testing.assert_array_equal(got, cv2.resize(image, to, interpolation=cv2.INTER_LINEAR))


@given(level=st.floats(0, 255), noise=st.floats(0, 6), side=st.sampled_from([64, 256]), seed=st.integers(0, 999))
def test_one_grey_all_over_is_blank_whatever_the_noise(level: float, noise: float, side: int, seed: int) -> None:
    seen = np.random.default_rng(seed).normal(level, noise, (side, side, 3))
    assert blank(np.clip(np.rint(seen), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("exposure", [1.0, 0.3, 0.1])
def test_a_part_is_not_blank_even_in_little_light(exposure: float) -> None:
    noise = np.random.default_rng(0).normal(0, 2, part(1).shape)
    assert not blank(np.clip(part(1) * exposure + noise, 0, 255).astype(np.uint8))
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[::2] = 60  # finer than the blur
    assert not blank(stripes)
    line = np.zeros((256, 256, 3), np.uint8)
    line[:, 100:103] = 60
    assert not blank(line)


def test_a_picture_for_people_is_upright_in_its_own_shape() -> None:
    data = tiff(scene(16), extratags=[(274, "H", 1, 6, True)])
    seen = pictured(data, 32, SourceSettings(), None)
    assert seen.shape == (32, 24, 3)
    assert seen[0, -1, 0] < 20, "the dark corner, stored at the top left, is at the top right"
    assert seen[-1, 0, 0] > 235


@pytest.mark.parametrize(
    ("stated", "bits", "white"),
    [
        (None, None, 128),  # 12 bits are the fewest that hold 2048
        (14, None, 32),
        (14, 12, 128),
        (None, 16, 8),
        (None, 10, 128),  # opened to see what lies beyond the window that was taught
    ],
)
def test_a_picture_for_people_is_as_bright_as_its_version_took_it(
    stated: int | None, bits: int | None, white: int
) -> None:
    data = encoded(PIL.Image.fromarray(np.full((32, 32), 2048, np.uint16)))
    seen = pictured(data, 32, SourceSettings(bits=stated), bits)
    assert np.unique(seen).tolist() == [white]


def test_a_picture_for_people_shows_the_stated_page() -> None:
    pages = [np.full((32, 32), value, np.uint8) for value in (10, 200)]
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page)
    assert pictured(file.getvalue(), 32, SourceSettings(page=1), None)[0, 0, 0] == 200
