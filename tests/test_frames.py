"""Image bytes of every bad kind: refused with a reason, or converted as documented."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.intake.decode import ImageRejected, decode, read_allowed
from daemon.ledger.kept import KeptFrames
from daemon.reporting.heatmap import overlay
from policies.threshold import calibrate

LIMIT = 1_000_000


def encoded(image: PIL.Image.Image, kind: str = "PNG", **also: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **also)
    return out.getvalue()


def grey(value: int = 100, side: int = 40) -> PIL.Image.Image:
    return PIL.Image.new("L", (side, side), value)


def giant_png(width: int, height: int) -> bytes:
    """A valid header of a picture that would need gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def animated() -> bytes:
    return encoded(grey(0), "GIF", save_all=True, append_images=[grey(255)], duration=50)


BAD = {
    "zero bytes": b"",
    "a text file": b"this is not a picture, whatever its name says\n" * 10,
    "a truncated PNG": encoded(PIL.Image.effect_noise((64, 64), 50))[:900],
    "a truncated JPEG": encoded(PIL.Image.effect_noise((64, 64), 50), "JPEG")[:700],
    "an animation": animated(),
    "one pixel": encoded(grey(side=1)),
    "20,000 × 20,000": giant_png(20_000, 20_000),
    "a decompression bomb": giant_png(1_500_000_000, 1),
    "floating-point pixels": encoded(PIL.Image.new("F", (40, 40), 0.5), "TIFF"),
    "32-bit pixels": encoded(PIL.Image.new("I", (40, 40), 1_000_000), "TIFF"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
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


@given(frame_id=st.text(min_size=1, max_size=80))
def test_no_frame_id_leads_outside_the_folder(tmp_path_factory: pytest.TempPathFactory, frame_id: str) -> None:
    root = tmp_path_factory.mktemp("kept")
    kept = KeptFrames(root)
    anomaly = np.arange(4, dtype=np.float32).reshape(2, 2)
    name = kept.keep(frame_id, b"bytes", anomaly, durable=False)
    assert kept.image(name) == b"bytes"
    assert np.array_equal(kept.anomaly(name), anomaly)  # type: ignore[arg-type]  # it was just kept
    assert all(p.resolve().is_relative_to(root) for p in root.rglob("*"))
    kept.drop(name)
    kept.drop(name)
    assert kept.image(name) is None
    assert kept.anomaly(name) is None


def test_the_heatmap_scale_is_fixed_by_good_parts() -> None:
    image = np.full((32, 32, 3), 90, dtype=np.uint8)
    goods = calibrate([0.5, 0.6, 1.0], 0.1)
    calm = overlay(image, np.full((4, 4), 0.6, dtype=np.float32), goods)
    assert np.array_equal(calm, image), "a calm part stays as it is"
    warm = np.full((4, 4), 0.4, dtype=np.float32)
    warm[0, 0] = 1.4
    marked = np.abs(overlay(image, warm, goods).astype(int) - image).sum(-1)
    assert marked[2, 2] > 0
    assert marked[-1, -1] == 0


def test_a_crafted_file_of_many_frames_is_refused_without_counting_them() -> None:
    one = struct.pack("<2sHI", b"II", 42, 8)
    size, count = 18, 60_000
    entry = struct.pack("<HHHI4s", 1, 256, 3, 1, b"\x20\x00\x00\x00")
    body = b"".join(entry + struct.pack("<I", 8 + (i + 1) * size if i + 1 < count else 0) for i in range(count))
    with pytest.raises(ImageRejected):
        decode(one + body, 32, 10_000)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA"])
def test_formats_that_no_camera_sends_are_not_read(kind: str) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (32, 32)).save(buffer, kind)
    with pytest.raises(ImageRejected):
        decode(buffer.getvalue(), 32, 10_000)
