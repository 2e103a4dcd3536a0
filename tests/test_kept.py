"""Kept frames: on disk by a name that leads nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import png

from daemon.ledger.kept import KeptFrames
from daemon.ledger.packed import packed, unpacked


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


def stored(kept: KeptFrames, name: str) -> list[str]:
    return sorted(path.suffix for path in kept._root.rglob(f"{name}*"))


def bmp(image: np.ndarray) -> bytes:
    return cv2.imencode(".bmp", image)[1].tobytes()


def pgm16(image: np.ndarray) -> bytes:
    height, width = image.shape[:2]
    return b"P5 %d %d 4095\n" % (width, height) + (image[:, :, 0].astype(">u2") * 16).tobytes()


@pytest.mark.parametrize("made", [bmp, pgm16])
def test_files_without_compression_take_less_room_and_come_back_to_the_byte(
    tmp_path: Path, rng: np.random.Generator, made: Callable[[np.ndarray], bytes]
) -> None:
    slope = np.add.outer(np.arange(200), np.arange(300))[:, :, None] / 3 + rng.normal(0, 2, (200, 300, 3))
    data, kept = made(np.clip(slope, 0, 255).astype(np.uint8)), KeptFrames(tmp_path)
    name = kept.keep("a", data, None, durable=True)
    assert stored(kept, name) == [".packed"]
    assert kept.image(name) == data
    assert kept.bytes_of(name) == kept.total_bytes() < 0.7 * len(data)
    kept.drop(name)
    assert stored(kept, name) == []
    assert kept.total_bytes() == 0


@pytest.mark.parametrize("data", [png(1), b"", b"BM", bytes(range(256)) * 3, b"\xff\xd8\xff" + bytes(5_000)])
def test_files_that_would_not_get_smaller_are_kept_as_they_are(tmp_path: Path, data: bytes) -> None:
    kept = KeptFrames(tmp_path)
    assert kept.image(kept.keep("a", data, None, durable=False)) == data


@given(data=st.binary(max_size=500), times=st.integers(1, 300))
def test_whatever_is_packed_comes_back_to_the_byte(data: bytes, times: int) -> None:
    smaller = packed(data * times)
    assert smaller is None or (unpacked(smaller) == data * times and len(smaller) < len(data) * times)


@given(at=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_a_damaged_packed_file_is_none_or_the_file(at: int, value: int, cut: int) -> None:
    """The ledger's checksum of the image tells what the packing does not."""
    whole = packed(bytes(range(200)) * 100) or b""
    damaged = bytearray(whole)
    damaged[at % len(whole)] = value
    for file in (bytes(damaged), whole[:cut]):
        assert isinstance(unpacked(file), bytes | None)


def test_a_part_that_is_kept_anew_is_read_as_it_is_now(tmp_path: Path) -> None:
    kept = KeptFrames(tmp_path)
    for data in (png(1), b"P5 64 64 255\n" + bytes(4096), png(2), b"P5 64 64 255\n" + bytes(range(64)) * 64):
        assert kept.image(kept.keep("taught", data, None, durable=True)) == data
        assert len(list(tmp_path.rglob("*.*"))) == 1


def test_what_is_not_ours_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes.txt").write_text("not ours")
    assert KeptFrames(tmp_path).total_bytes() == 0
