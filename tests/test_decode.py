"""Image bytes of every bad kind: refused with a reason, or converted as documented."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import UNUSABLE, encoded, grey

from daemon.intake.decode import ImageRejected, decode, read_allowed

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
