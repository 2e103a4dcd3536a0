"""Image files of every kind and depth are read as the arrays that they were made of."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from image_files import LAYOUTS, jp2, packed_tiff, png, pnm, scene, tiff
from pictures import encoded, grey

from daemon.intake.decode import ImageRejected, eight_bits, read

LIMIT = 100_000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_of_any_layout_is_read_as_it_was_written(
    bits: int, channels: int, layout: dict[str, object], order: str
) -> None:
    pixels = scene(bits, channels)
    raw = read(tiff(pixels, byteorder=order, **layout), LIMIT)
    np.testing.assert_array_equal(raw.pixels, pixels)
    assert raw.pixels.dtype == pixels.dtype
    assert raw.bits == (8 if bits == 8 else None), "16 is the container's size, not the camera's word"


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_tiff_of_separate_colour_planes_is_read(layout: dict[str, object]) -> None:
    pixels = scene(16, 3)
    planes = np.moveaxis(pixels, 2, 0)  # (H, W, C) -> (C, H, W)
    data = tiff(planes, photometric="rgb", planarconfig="separate", **layout)
    np.testing.assert_array_equal(read(data, LIMIT).pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("width", [64, 63])
def test_a_packed_tiff_gives_its_values_and_states_its_depth(bits: int, order: str, width: int) -> None:
    pixels = scene(bits)[:, :width]
    raw = read(packed_tiff(pixels, bits, order), LIMIT)
    np.testing.assert_array_equal(raw.pixels, pixels)
    assert raw.bits == bits


FILES: dict[str, Callable[[npt.NDArray[Any], int], bytes]] = {
    "TIFF": lambda pixels, _: tiff(pixels),
    "packed TIFF": lambda pixels, bits: packed_tiff(pixels, bits, "<"),
    "PNG": lambda pixels, _: png(pixels),
    "PGM of the camera's depth": lambda pixels, bits: pnm(pixels, 2**bits - 1),
    "PGM": lambda pixels, bits: pnm(pixels, 255 if bits == 8 else 65535),
    "JPEG 2000": jp2,
}
DEPTHS = {kind: (10, 12, 14) if kind == "packed TIFF" else (8, 10, 12, 14, 16) for kind in FILES}


@pytest.mark.parametrize(("kind", "bits"), [(kind, bits) for kind in FILES for bits in DEPTHS[kind]])
def test_one_scene_is_one_image_whatever_the_depth_and_the_file(kind: str, bits: int) -> None:
    image = eight_bits(read(FILES[kind](scene(bits), bits), LIMIT), bits)
    difference = image.astype(int) - scene(8)[:, :, None]
    assert np.abs(difference).max() <= (0 if bits in {8, 16} else 1)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_colours_of_any_depth_are_read_in_the_order_rgb(bits: int) -> None:
    pixels = scene(bits, 3)
    files = [pnm(pixels, 2**bits - 1), png(pixels), tiff(pixels), jp2(pixels, bits)]
    for data in files:
        np.testing.assert_array_equal(read(data, LIMIT).pixels, pixels)


def test_a_file_states_the_camera_s_depth_or_none() -> None:
    pixels = scene(12)
    white = {4095: 12, 1023 + 16384: None, 3000: None, 65535: None}  # what each largest value says
    for value, bits in white.items():
        assert read(tiff(pixels, extratags=[(281, "H", 1, value, True)]), LIMIT).bits == bits
    assert {v: read(pnm(pixels // 2, v), LIMIT).bits for v in white} == {**white, 3000: None}
    assert read(jp2(pixels, 12), LIMIT).bits == 12
    assert read(jp2(scene(16), 16), LIMIT).bits is None
    assert read(png(pixels), LIMIT).bits is None
    significant = {b"\x10": 16, b"\x0c": None}
    for said, bits in significant.items():
        chunk = b"sBIT" + said
        stating = png(pixels)[:33] + struct.pack(">I5sI", 1, chunk, zlib.crc32(chunk)) + png(pixels)[33:]
        assert read(stating, LIMIT).bits == bits


def test_where_white_is_zero_in_16_bits_the_largest_value_must_be_stated() -> None:
    pixels, tag = scene(12), [(281, "H", 1, 4095, True)]
    raw = read(tiff(pixels, photometric="miniswhite", extratags=tag), LIMIT)
    np.testing.assert_array_equal(raw.pixels, 4095 - pixels)
    assert raw.bits == 12
    with pytest.raises(ImageRejected, match="MaxSampleValue"):
        read(tiff(pixels, photometric="miniswhite"), LIMIT)


def test_an_orientation_that_is_no_number_counts_as_none() -> None:
    text = struct.pack("<HHHI4sI", 1, 274, 2, 3, b"ab", 0)  # one tag of three characters
    out = io.BytesIO()
    PIL.Image.fromarray(scene(8)).save(out, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0" + text)
    np.testing.assert_array_equal(read(out.getvalue(), LIMIT).pixels, scene(8))


def test_dark_is_dark_and_light_is_light_in_every_tiff() -> None:
    eight, twelve = scene(8), scene(12)
    np.testing.assert_array_equal(read(tiff(eight, photometric="miniswhite"), LIMIT).pixels, 255 - eight)
    np.testing.assert_array_equal(read(packed_tiff(twelve, 12, "<", photometric=0), LIMIT).pixels, 4095 - twelve)
    bilevel = encoded(PIL.Image.fromarray(eight > 100), "TIFF")
    np.testing.assert_array_equal(read(bilevel, LIMIT).pixels, 255 * (eight > 100))
    four = packed_tiff(scene(12) >> 8, 4, "<")
    np.testing.assert_array_equal(read(four, LIMIT).pixels, (scene(12) >> 8) * 17)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
@pytest.mark.parametrize("mode", ["P", "LA", "RGBA"])
def test_palettes_become_colours_and_alpha_is_dropped(mode: str, kind: str) -> None:
    # A colour of Pillow's own palette.
    image = PIL.Image.new("RGB", (40, 30), (204, 102, 51)).convert("L" if mode == "LA" else "RGB")
    colours = np.asarray(image)
    raw = read(encoded(image.convert(mode), kind), LIMIT)
    assert raw.bits == 8
    np.testing.assert_array_equal(raw.pixels, colours)
    wide = np.dstack([scene(16, 3), scene(16)])
    np.testing.assert_array_equal(read(png(wide), LIMIT).pixels, wide[:, :, :3])


def test_inks_become_colours() -> None:
    inks = PIL.Image.new("CMYK", (40, 40), (0, 0, 0, 155))
    for data in (encoded(inks, "TIFF"), encoded(inks, "JPEG", quality=100)):
        np.testing.assert_array_equal(read(data, LIMIT).pixels, np.full((40, 40, 3), 100))


# What lies in the four corners of the stored pixels where the upright image has 1 2 above 3 4: EXIF 2.32, page 36.
STORED = {1: "12/34", 2: "21/43", 3: "43/21", 4: "34/12", 5: "13/24", 6: "24/13", 7: "42/31", 8: "31/42"}


def _corners(rows: str, high: int, wide: int) -> npt.NDArray[np.uint8]:
    small = np.array([[50 * int(c) for c in row] for row in rows.split("/")], dtype=np.uint8)
    return np.kron(small, np.ones((high, wide), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize(("orientation", "rows"), STORED.items())
def test_every_orientation_is_turned_upright(orientation: int, rows: str, kind: str) -> None:
    stored = _corners(rows, 24, 16) if orientation >= 5 else _corners(rows, 16, 24)
    exif = PIL.Image.Exif()
    exif[274] = orientation
    if kind == "TIFF":
        data = tiff(stored, extratags=[(274, "H", 1, orientation, True)])
    else:
        data = encoded(PIL.Image.fromarray(stored), kind, exif=exif)
    upright = read(data, LIMIT).pixels
    assert upright.shape == (32, 48)
    np.testing.assert_allclose(upright.astype(int), _corners("12/34", 16, 24), atol=2 if kind == "JPEG" else 0)


@given(width=st.integers(16, 300), height=st.integers(16, 300), least=st.tuples(*[st.integers(1, 300)] * 2))
def test_a_jpeg_is_never_decoded_smaller_than_asked_for(width: int, height: int, least: tuple[int, int]) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 6
    data = encoded(PIL.Image.new("L", (height, width), 90), "JPEG", exif=exif)
    got_height, got_width = read(data, LIMIT, least).pixels.shape
    assert got_width >= min(width, least[0])
    assert got_height >= min(height, least[1])
    if width >= 8 * least[0] and height >= 8 * least[1]:
        assert (got_width, got_height) == (-(-width // 8), -(-height // 8))


@pytest.mark.parametrize("least", [(300, 200), (150, 100), (100, 50), (20, 20)])
@pytest.mark.parametrize("kind", ["4:2:0", "4:4:4", "grey", "progressive"])
def test_a_whole_jpeg_is_the_same_as_pillow_reads_it(kind: str, least: tuple[int, int]) -> None:
    noise = PIL.Image.effect_noise((301, 203), 60)
    image = noise if kind == "grey" else PIL.Image.merge("RGB", [noise, noise.rotate(180), noise])
    sampling = kind if ":" in kind else "4:2:0"
    data = encoded(image, "JPEG", subsampling=sampling, progressive=kind == "progressive")
    with PIL.Image.open(io.BytesIO(data)) as other:
        other.draft(None, least)
        np.testing.assert_array_equal(read(data, LIMIT, least).pixels, np.asarray(other))


def test_a_tiff_of_several_pages_needs_the_page_to_judge() -> None:
    first, second = scene(16), scene(16)[::-1]
    both = tiff(first, second)
    with pytest.raises(ImageRejected, match=r"source\.page"):
        read(both, LIMIT)
    np.testing.assert_array_equal(read(both, LIMIT, page=0).pixels, first)
    np.testing.assert_array_equal(read(both, LIMIT, page=1).pixels, second)
    for data, page in ((both, 2), (tiff(first), 1)):
        with pytest.raises(ImageRejected, match=f"page {page} of a TIFF"):
            read(data, LIMIT, page=page)


@pytest.mark.parametrize("thumbnail_first", [True, False])
def test_a_thumbnail_is_no_page(thumbnail_first: bool) -> None:
    image, small = scene(16), np.zeros((16, 16), np.uint16)
    entries = [(small, {"subfiletype": 1}), (image, {"subfiletype": 0})]
    pages = entries if thumbnail_first else entries[::-1]
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as writer:
        for page, options in pages:
            writer.write(page, metadata=None, **options)
    np.testing.assert_array_equal(read(data.getvalue(), LIMIT).pixels, image)
    np.testing.assert_array_equal(read(data.getvalue(), LIMIT, page=0).pixels, image)


def test_of_an_mpo_the_first_picture_is_read() -> None:
    data = encoded(grey(80), "MPO", save_all=True, append_images=[grey(200)])
    np.testing.assert_array_equal(read(data, LIMIT).pixels, np.full((40, 40), 80))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    data = encoded(grey(0), kind, save_all=True, append_images=[grey(255)], duration=50)
    with pytest.raises(ImageRejected, match="several frames"):
        read(data, LIMIT)
