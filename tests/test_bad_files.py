"""Files that are torn, too large, damaged or no picture of ours: refused with a reason, before they cost anything."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import LAYOUTS, jp2, packed_tiff, png, pnm, scene, tiff
from pictures import encoded

from daemon.intake.decode import ImageRejected, read

LIMIT = 100_000
NOISE = PIL.Image.effect_noise((80, 60), 50)
WHOLE = {
    "JPEG": encoded(NOISE, "JPEG"),
    "progressive JPEG": encoded(NOISE, "JPEG", progressive=True),
    "JPEG with restart markers": encoded(NOISE, "JPEG", restart_marker_rows=2),
    "PNG": encoded(NOISE),
    "16-bit PNG": png(np.asarray(NOISE) * np.uint16(257)),
    "BMP": encoded(NOISE, "BMP"),
    "GIF": encoded(NOISE, "GIF"),
    "WEBP": encoded(NOISE, "WEBP"),
    "PGM": pnm(np.asarray(NOISE), 255),
    "JPEG 2000": jp2(np.asarray(NOISE), 8),
    "packed TIFF": packed_tiff(np.asarray(NOISE).astype(np.uint16), 12, "<"),
    "TIFF by Pillow": encoded(NOISE, "TIFF", compression="tiff_lzw"),
} | {f"TIFF, {name}": tiff(np.asarray(NOISE), **layout) for name, layout in LAYOUTS.items()}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_a_torn_file_is_refused(data: bytes) -> None:
    assert read(data, LIMIT).pixels.shape[:2] == (60, 80)
    half = len(data) // 2
    for torn in (data[:half], data[: len(data) * 9 // 10], data[: half - 200] + data[half + 200 :]):
        with pytest.raises(ImageRejected) as raised:
            read(torn, LIMIT)
        assert raised.value.do


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if "JPEG" in kind and kind != "JPEG 2000"])
def test_a_torn_jpeg_is_refused_however_small_it_is_decoded(kind: str) -> None:
    data = WHOLE[kind]
    for least_px, size in (((80, 60), (60, 80)), ((40, 30), (30, 40)), ((20, 15), (15, 20)), ((10, 7), (8, 10))):
        small = read(data, LIMIT, least_px)
        assert (small.pixels.shape[:2], small.size_px) == (size, (60, 80))
        for torn in (data[: len(data) // 2], data[: len(data) * 9 // 10], data[: len(data) // 2] + data[-200:]):
            with pytest.raises(ImageRejected):
                read(torn, LIMIT, least_px)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_that_is_decoded_smaller_lies_as_the_whole_one(orientation: int, mode: str) -> None:
    exif = PIL.Image.Exif()
    exif[274] = orientation
    slope = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    data = encoded(PIL.Image.fromarray(slope).convert(mode), "JPEG", exif=exif, quality=95)
    whole = read(data, LIMIT)
    height, width = whole.size_px
    small = read(data, LIMIT, (width // 4, height // 4))
    assert (small.size_px, small.pixels.shape[:2]) == (whole.size_px, (height // 4, width // 4))
    averaged = whole.pixels.reshape(height // 4, 4, width // 4, 4, -1).mean(axis=(1, 3))
    assert np.abs(averaged - small.pixels.reshape(averaged.shape)).max() <= 4


@given(kind=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused_or_its_picture_is_whole(kind: str, share: float) -> None:
    data = WHOLE[kind]
    try:
        cut = read(data[: int(share * len(data))], LIMIT)
    except ImageRejected:
        return
    np.testing.assert_array_equal(cut.pixels, read(data, LIMIT).pixels)


def test_a_png_without_its_end_is_refused() -> None:
    for kind in ("PNG", "16-bit PNG"):
        with pytest.raises(ImageRejected):
            read(WHOLE[kind][:-12], LIMIT)


def test_a_tiff_with_an_empty_strip_is_refused() -> None:
    data = packed_tiff(scene(12), 12, "<")
    length = data.index((279).to_bytes(2, "little") + b"\4\0\1\0\0\0") + 8  # the value of StripByteCounts
    with pytest.raises(ImageRejected, match="every strip"):
        read(data[:length] + bytes(4) + data[length + 4 :], LIMIT)


def test_a_tiff_with_two_widths_is_refused() -> None:
    data = packed_tiff(scene(12), 12, "<")
    width = data.index((256).to_bytes(2, "little") + b"\4\0\1\0\0\0") + 4  # how many values ImageWidth has
    with pytest.raises(ImageRejected, match="imagewidth"):
        read(data[:width] + b"\2" + data[width + 1 :], LIMIT)


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_too_many_pixels_are_refused_before_they_are_decoded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image.Image, "convert", None)
    for decoder in ("simplejpeg.decode_jpeg", "imagecodecs.jpeg2k_decode", "imagecodecs.png_decode"):
        monkeypatch.setattr(decoder, None)
    monkeypatch.setattr("tifffile.TiffPage.asarray", None)
    with pytest.raises(ImageRejected, match=r"source\.max_pixels"):
        read(data, 60 * 80 - 1)


BAD_PIXELS = {
    "more than 16 bits": tiff(np.zeros((40, 40), np.uint32)),
    "signed": tiff(np.zeros((40, 40), np.int16)),
    "floating-point": tiff(np.zeros((40, 40), np.float32)),
    "five channels": tiff(np.zeros((40, 40, 5), np.uint8), photometric="minisblack", planarconfig="contig"),
    "Bayer": tiff(np.zeros((40, 40), np.uint8), photometric="cfa"),
    "two pictures": pnm(scene(8), 255) * 2,
    "beyond its largest value": pnm(scene(12), 4000),
    "a largest value of 100": pnm(scene(8) // 3, 100),
    "another colour space": jp2(scene(8, 3), 8).replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x12"),
}


@pytest.mark.parametrize("data", BAD_PIXELS.values(), ids=BAD_PIXELS.keys())
def test_what_is_no_picture_of_ours_is_refused_in_plain_words(data: bytes) -> None:
    with pytest.raises(ImageRejected) as raised:
        read(data, LIMIT)
    assert raised.value.expected != "a readable image"


HEADS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0\x08\0\0\0", b"MM\0+", b"BM"]
HEADS += [b"P5 20 20 255 ", b"\0\0\0\x0cjP  \r\n\x87\n"]


@given(data=st.binary(max_size=500), head=st.sampled_from(HEADS))
def test_no_bytes_whatever_raise_anything_else(data: bytes, head: bytes) -> None:
    try:
        raw = read(head + data, 10_000)
    except ImageRejected:
        return
    assert raw.pixels.size <= 10_000


def test_more_channels_than_a_picture_has_are_refused_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = imagecodecs.jpeg2k_encode(np.zeros((32, 32, 5), dtype=np.uint8), level=0)

    def decode(_: bytes) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("daemon.intake.jpeg2000.imagecodecs.jpeg2k_decode", decode)
    with pytest.raises(ImageRejected, match="5 channels"):
        read(data, LIMIT)


@pytest.mark.parametrize("compression", ["jpeg2000", "png", "webp"])
def test_a_compression_with_sizes_of_its_own_is_refused(compression: str) -> None:
    data = tiff(np.zeros((32, 32, 3), dtype=np.uint8), photometric="rgb", compression=compression)
    with pytest.raises(ImageRejected, match="a TIFF by LZW"):
        read(data, LIMIT)


def test_a_jpeg_of_more_scans_than_programs_write_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(out, "JPEG", progressive=True)
    assert read(out.getvalue(), LIMIT).bits == 8
    monkeypatch.setattr("daemon.intake.jpeg.MAX_SCANS", 3)
    with pytest.raises(ImageRejected, match="at most 3 scans"):
        read(out.getvalue(), LIMIT)
