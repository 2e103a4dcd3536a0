"""Safe reading of image files: the size is checked before a pixel is decoded, and torn files are refused."""

from __future__ import annotations

import io
import re

import imagecodecs
import numpy as np
import PIL.Image
import simplejpeg

from daemon.intake import jpeg2000, tiff
from daemon.intake.jpeg import jpeg_header
from daemon.intake.raw_image import ImageRejected, RawImage, check_size, rejected, stated_bits, upright, without_alpha

# Pillow's own limit only warns below twice its value; ours is checked before a pixel is decoded.
PIL.Image.MAX_IMAGE_PIXELS = None

BY_PILLOW = ("BMP", "GIF", "PNG", "WEBP")  # the other formats run programs, decode in Python, or lose bits
ORIENTATION = 274
PNG_END = b"IEND\xae\x42\x60\x82"
PNG_BIT_DEPTH = 24  # the place of this byte
GAP = rb"(?:\s|#[^\r\n]*[\r\n])++"
PNM_HEADER = re.compile(rb"P([56])" + 3 * (GAP + rb"(\d{1,9}+)") + rb"\s")


def read(data: bytes, max_pixels: int, least_px: tuple[int, int] | None = None, page: int | None = None) -> RawImage:
    """The still image in a file's bytes, as BMP, GIF, JPEG (of an MPO the first picture), JPEG 2000, PGM, PNG, PPM,
    TIFF or WEBP.

    Orientation by EXIF or TIFF is applied; alpha is dropped; CMYK and palettes become RGB. A JPEG may be decoded at a
    half, a quarter or an eighth of its size, but never below `least_px` (width, height); whatever of it is torn is
    found all the same. `page` is a TIFF's page from 0, without thumbnails; None: its only one. Raises ImageRejected for
    anything torn, animated, smaller than `MIN_SIDE_PX`, larger than `max_pixels` (nothing is decoded then), or no image
    at all.
    """
    try:
        if data.startswith(tiff.MAGIC):
            return tiff.read_tiff(data, max_pixels, page)
        if data.startswith(jpeg2000.SIGNATURE):
            return jpeg2000.read_jpeg_2000(data, max_pixels)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data, max_pixels, least_px)
        if data.startswith((b"P5", b"P6")):
            return _pnm(data, max_pixels)
        return _by_pillow(data, max_pixels)
    except ImageRejected:
        raise
    except PIL.UnidentifiedImageError as error:  # its words name a Python object
        came = f"{len(data)} bytes of no known format"
        raise rejected("a readable image", came, "check the camera or cable") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, …
        came = f"{len(data)} bytes, {type(error).__name__}: {error}"
        raise rejected("a readable image", came, "check the camera or cable") from error


def _jpeg(data: bytes, max_pixels: int, least_px: tuple[int, int] | None) -> RawImage:
    """By simplejpeg, for which a JPEG torn in its middle is an error: Pillow and OpenCV fill the rest with grey."""
    height, width, colours = jpeg_header(data)
    check_size(width, height, max_pixels)
    with PIL.Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        orientation = _orientation(image)
    least_width, least_height = least_px or (width, height)
    if orientation >= 5:
        least_width, least_height = least_height, least_width
    shrink = next((s for s in (8, 4, 2) if width >= s * least_width and height >= s * least_height), 1)
    space = {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}.get(colours, "RGB")
    pixels = simplejpeg.decode_jpeg(data, space, min_height=-(-height // shrink), min_width=-(-width // shrink))
    if space == "CMYK":
        # Adobe writes them turned round, and everybody followed.
        pixels = np.asarray(PIL.Image.fromarray(255 - pixels, "CMYK").convert("RGB"))
    whole_px = (width, height) if orientation >= 5 else (height, width)
    return RawImage(upright(without_alpha(pixels), orientation), 8, whole_px)


def _pnm(data: bytes, max_pixels: int) -> RawImage:
    """PGM and PPM (netpbm.sourceforge.net/doc/pgm.html). Pillow stretches them by their largest value, and gives
    colour as 8 bits."""
    header = PNM_HEADER.match(data)
    if header is None:
        raise ValueError("no header of a PGM or PPM")
    kind, width, height, white = map(int, header.groups())
    check_size(width, height, max_pixels)
    if not 255 <= white <= 65535:
        raise rejected("a largest value of 255 to 65535", f"{white}", "set it to the camera's depth, 4095 for 12 bits")
    shape = (height, width) if kind == 5 else (height, width, 3)
    pixels = np.frombuffer(data, np.uint8 if white == 255 else ">u2", int(np.prod(shape)), header.end()).reshape(shape)
    if data[header.end() + pixels.nbytes :].strip():
        raise rejected("one picture", "more bytes after it", "send one picture a file")
    if pixels.max() > white:
        raise rejected(f"values up to {white}, as the file says", f"a value of {pixels.max()}", "check the camera")
    if white == 255:
        return RawImage(pixels.copy(), 8)
    return RawImage(pixels.astype(np.uint16), stated_bits(white))


def _by_pillow(data: bytes, max_pixels: int) -> RawImage:
    with PIL.Image.open(io.BytesIO(data), formats=BY_PILLOW) as image:
        check_size(*image.size, max_pixels)
        if _moves(image):
            raise rejected("a still image", "several frames", "send single frames")
        orientation = _orientation(image)
        if image.format == "PNG":
            if PNG_END not in data:
                raise rejected("a whole PNG", "no end in it", "check the camera or cable")
            if data[PNG_BIT_DEPTH] == 16:  # Pillow gives colour as 8 bits, cut off instead of rounded
                pixels = without_alpha(imagecodecs.png_decode(data))
                return RawImage(upright(pixels, orientation), _png_bits(data))
        pixels = np.asarray(image.convert("L" if image.mode in {"1", "L", "LA"} else "RGB"))
    return RawImage(upright(pixels, orientation), 8)


def _png_bits(data: bytes) -> int | None:
    """16 where the chunk sBIT says 16 significant bits for every channel: the values fill them. Less says nothing."""
    at = data.find(b"sBIT", 0, data.find(b"IDAT"))
    significant = data[at + 4 : at + 4 + data[at - 1]] if at > 0 else b""
    return 16 if set(significant) == {16} else None


def _moves(image: PIL.Image.Image) -> bool:
    """Whether there is a second frame; counting all frames of a crafted file would take minutes."""
    try:
        image.seek(1)
    except EOFError:
        image.seek(0)
        return False
    return True


def _orientation(image: PIL.Image.Image) -> int:
    """1 to 8, by EXIF where the file starts with it; looking for it behind the pixels would decode them."""
    stated = image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1
    return stated if isinstance(stated, int) else 1
