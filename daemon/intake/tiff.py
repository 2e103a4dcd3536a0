"""TIFF files: mono and RGB of 8 to 16 bits, packed or not, of either byte order, in strips or tiles, by tifffile."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from daemon.intake.jpeg import jpeg_header
from daemon.intake.raw_image import Pixels, RawImage, check_size, rejected, stated_bits, upright, without_alpha

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_HIGH = 1e30  # programs write the largest float for no height
TRANSPOSED = {5, 6, 7, 8}  # orientations whose rows are the image's columns
MAX_PAGES = 1000  # what a crafted chain of pages may cost
THUMBNAIL_OR_MASK = 0b101  # NewSubfileType: a reduced copy, or a transparency mask
ORIENTATION, MAX_SAMPLE_VALUE = 274, 281
CHANNELS: dict[int, int] = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.YCBCR: 3,  # compressed by JPEG; tifffile converts it, and raises for others
    PHOTOMETRIC.SEPARATED: 4,
}
# Those that cannot hold a picture of another size than the strip's, and JPEG, whose size is compared.
COMPRESSIONS = {
    COMPRESSION.NONE,
    COMPRESSION.LZW,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.DEFLATE,
    COMPRESSION.PACKBITS,
    COMPRESSION.ZSTD,
    COMPRESSION.JPEG,
}
# tifffile logs what it tolerates; here each such file is refused with a reason, or what it lacks is not needed.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def read_tiff(data: bytes, max_pixels: int, page: int | None) -> RawImage:
    """One page of a TIFF (TIFF 6.0 and BigTIFF), upright; MinIsWhite is turned round and palettes are looked up.

    `page` counts from 0 without thumbnails; None is the only one. Raises ImageRejected, and what tifffile and its
    decoders raise for damaged data.
    """
    with TiffFile(io.BytesIO(data)) as file:
        chosen = _page(file, page)
        _check_safe(chosen, data, max_pixels, _check_picture)
        bits = chosen.bitspersample
        white = int(chosen.tags.valueof(MAX_SAMPLE_VALUE, default=0)) if chosen.samplesperpixel == 1 else 0
        pixels = upright(_grey_or_rgb(chosen, _samples(chosen)), _orientation(chosen))
    if pixels.dtype == np.uint8:
        return RawImage(pixels, 8)
    return RawImage(pixels, bits if bits < 16 else stated_bits(white))


def read_heights(
    data: bytes, max_pixels: int, page: int, size_px: tuple[int, int] | None = None
) -> npt.NDArray[np.float32]:
    """The heights (H, W) on one page of a TIFF, upright, in its own unit: of numbers of 16 bits or more, one a pixel,
    or the last of three floats, as of positions (x, y, z).

    NaN where nothing was measured, for which sensors write 0, NaN, an infinity, a number beyond `MOST_HIGH`, or the
    least value of a signed integer. Raises as `read_tiff`, and before anything is decoded where the size (height,
    width) is another one.
    """
    with TiffFile(io.BytesIO(data)) as file:
        chosen = _page(file, page)
        _check_safe(chosen, data, max_pixels, _check_heights)
        orientation = _orientation(chosen)
        height, width = (chosen.imagelength, chosen.imagewidth)[:: -1 if orientation in TRANSPOSED else 1]
        if size_px not in {None, (height, width)}:
            wanted = "heights registered to the colours, one for each pixel"
            raise rejected(wanted, f"{width}×{height} px", "send both in one size, see source.depth_page")
        samples = _samples(chosen)
        heights = samples[:, :, 2] if samples.ndim == 3 else samples
        with np.errstate(over="ignore"):  # to an infinity, which counts as not measured
            values = heights.astype(np.float32)
        unknown = (values == 0) | ~(np.abs(values) <= MOST_HIGH)
        if heights.dtype.kind == "i":
            unknown |= heights == np.iinfo(heights.dtype).min
        values[unknown] = np.nan
        known: npt.NDArray[np.float32] = upright(values, orientation)
        return known


def _check_safe(page: TiffPage, data: bytes, max_pixels: int, check_kind: Callable[[TiffPage], None]) -> None:
    """Raise ImageRejected for what must not be decoded: too large, of the wrong kind, or not whole."""
    _check_numbers(page)
    check_size(page.imagewidth, page.imagelength, max_pixels)
    check_kind(page)
    _check_whole(page, len(data), max_pixels)
    _check_compression(page, data)


def _samples(page: TiffPage) -> npt.NDArray[Any]:
    """What a page holds, (H, W) or (H, W, C)."""
    samples = page.asarray(maxworkers=1)
    return np.moveaxis(samples, 0, 2) if page.planarconfig == 2 and samples.ndim == 3 else samples  # from (C, H, W)


def _orientation(page: TiffPage) -> int:
    return int(page.tags.valueof(ORIENTATION, default=1))


def _page(file: TiffFile, page: int | None) -> TiffPage:
    """The page that is asked for; no more pages are looked at than needed, nor than `MAX_PAGES`."""
    real: list[TiffPage] = []
    for index in range(MAX_PAGES):
        try:
            found = file.pages[index].aspage()
        except IndexError:
            break
        if not found.subfiletype & THUMBNAIL_OR_MASK:
            real.append(found)
        if page is None and len(real) > 1:
            raise rejected("a TIFF of one page", "several", "set source.page to the one to judge, 0 is the first")
        if page is not None and len(real) > page:
            return real[page]
    if not real:
        raise rejected("a readable image", "a TIFF without a readable page", "check the camera or cable")
    if page is not None:
        raise rejected(
            f"page {page} of a TIFF",
            f"one of {len(real)} pages",
            "see source.page and source.depth_page: 0 is the first",
        )
    return real[0]


def _check_numbers(page: TiffPage) -> None:
    """Raise ImageRejected where a damaged tag holds a list of numbers: a list times a number would be a longer list."""
    for name in ("imagewidth", "imagelength", "imagedepth", "samplesperpixel", "tilewidth", "tilelength"):
        if not isinstance(getattr(page, name), int):
            raise rejected("a readable image", f"a TIFF with several values of {name}", "check the camera or cable")


def _check_heights(page: TiffPage) -> None:
    """Raise ImageRejected for pixels that are no heights: above all for colours, where pages were mistaken."""
    kind = page.dtype.kind if page.dtype is not None and page.imagedepth == 1 else ""
    one = kind in "iuf" and page.samplesperpixel == 1 and page.photometric == PHOTOMETRIC.MINISBLACK
    three = kind == "f" and page.samplesperpixel == 3 and page.bitspersample <= 32
    if not kind or page.bitspersample < 16 or not (one or three):
        came = f"{page.samplesperpixel} channels of {page.bitspersample} bits, photometric {int(page.photometric)}"
        expected = "a page of heights, one number of 16 bits or more a pixel, or of positions x, y, z as floats"
        raise rejected(expected, came, "set source.page to the colours and source.depth_page to the heights")


def _check_picture(page: TiffPage) -> None:
    """Raise ImageRejected for pixels that are no picture of 1 to 16 bits a channel."""
    if page.dtype is None or page.dtype.kind not in "bu" or page.bitspersample > 16:
        came = f"{page.bitspersample} bits, sample format {page.sampleformat}"
        raise rejected("1 to 16 bits a channel, unsigned", came, "convert to 16 bits")
    channels = CHANNELS.get(page.photometric, 0)
    if page.imagedepth != 1 or page.samplesperpixel not in {channels, channels + 1} or not channels:
        came = f"photometric interpretation {int(page.photometric)} with {page.samplesperpixel} channels"
        raise rejected("grey, RGB, CMYK or a palette, and alpha at most", came, "save it as grey or RGB")


def _check_whole(page: TiffPage, size: int, max_pixels: int) -> None:
    """Raise ImageRejected where strips or tiles are missing or end beyond the file: tifffile would leave their place
    as it finds it in memory."""
    if prod(page.chunks) > 4 * max_pixels:
        raise rejected(f"strips or tiles of at most {max_pixels:,} pixels", f"{page.chunks}", "check the camera")
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    whole = len(page.dataoffsets) == len(page.databytecounts) == prod(page.chunked)
    if not whole or any(count < 1 or offset + count > size for offset, count in parts):
        raise rejected("every strip or tile of the image", f"{size:,} bytes, a part of them", "check camera and cable")


def _check_compression(page: TiffPage, data: bytes) -> None:
    """Raise ImageRejected for a compression whose pictures have sizes of their own: tifffile would decode one of any
    size, and cut it to the strip's."""
    if page.compression not in COMPRESSIONS:
        came = f"compression {int(page.compression)}"
        raise rejected("a TIFF by LZW, deflate, packbits, Zstandard, JPEG or uncompressed", came, "save it by one")
    if page.compression == COMPRESSION.JPEG:
        rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            height, width, _ = jpeg_header(data[offset : offset + count])
            if height > rows or width > columns:
                raise rejected(f"strips or tiles of {columns}×{rows} px", f"{width}×{height} px", "check the camera")


def _grey_or_rgb(page: TiffPage, pixels: npt.NDArray[Any]) -> Pixels:
    """Pixels (H, W) or (H, W, 3), u8 or u16, of what the page holds."""
    if page.photometric == PHOTOMETRIC.PALETTE:
        assert page.colormap is not None  # noqa: S101  # asarray would have raised
        colours = (page.colormap.T >> 8).astype(np.uint8)  # some programs write 256, some 257 times the value
        return np.asarray(colours[without_alpha(pixels)], dtype=np.uint8)  # (H, W) -> (H, W, 3)
    if page.photometric == PHOTOMETRIC.SEPARATED:
        if page.bitspersample != 8:
            raise rejected("CMYK of 8 bits", f"{page.bitspersample} bits", "save it as RGB")
        return np.asarray(PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, :4]), "CMYK").convert("RGB"))
    pixels = without_alpha(pixels)
    white = 2**page.bitspersample - 1
    if page.photometric == PHOTOMETRIC.MINISWHITE and page.bitspersample == 16:
        white = int(page.tags.valueof(MAX_SAMPLE_VALUE, default=0))
        if stated_bits(white) is None or pixels.max() > white:
            raise rejected("MaxSampleValue, where white is zero in 16 bits", f"{white}", "save it with zero as black")
    if page.bitspersample < 8:
        pixels, white = np.rint(pixels * (255 / white)).astype(np.uint8), 255
    return white - pixels if page.photometric == PHOTOMETRIC.MINISWHITE else pixels
