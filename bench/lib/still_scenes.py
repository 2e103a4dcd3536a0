"""A part that lies still before a camera with a sensor's noise, and the same camera frozen or torn."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from daemon import build, clock
from daemon.datasets.rendered import part
from daemon.inference.engine import Engine
from daemon.intake.cameras import CameraLost, Picture
from daemon.intake.sources import Frame
from daemon.intake.video import Video
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from memory.extract import Extractor
from memory.features import Image

NOISE_LEVELS = 2.0
KEY_EVERY = 50
FROZEN = 10
SLICE = 1  # the kind of an H.264 unit that tells changes (ITU-T H.264, table 7-1)

Given = bytes | Picture


def rows(state: Path, looks: Extractor, frames: int, frozen_groups: int) -> Iterator[str]:
    """Rows on so many frames of a still scene, and on a camera that froze, for so many key frames, or is torn."""
    opened = open_state(state)
    engine = build.reference_engine(Settings(state_dir=state), opened, looks)
    engine.activate(opened.store.current())
    film = state.parent / "still.h264"
    film.write_bytes(encoded(noisy(frames)))
    still = f"a still scene with noise of {NOISE_LEVELS:g} levels, {frames:,} frames"
    yield f"| {still}: UNKNOWN | {unknown(engine, 'png', map(png, noisy(frames)))[0]} |"
    yield f"| the same by H.264: UNKNOWN | {unknown(engine, 'film', seen(film))[0]} |"
    frozen = [png(next(noisy(1)))] * FROZEN
    jpegs = [cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes() for image in noisy(FROZEN)]
    damaged = state.parent / "damaged.h264"
    damaged.write_bytes(without_slices(film.read_bytes()))
    frozen_film = state.parent / "frozen.h264"
    frozen_film.write_bytes(encoded([next(noisy(1))] * (frozen_groups * KEY_EVERY)))
    for what, images in (
        ("one image again and again", frozen),
        ("a frozen camera by H.264, a key frame in 50", seen(frozen_film)),
        ("JPEGs torn in their middle", [jpeg[: len(jpeg) // 2] for jpeg in jpegs]),
        ("H.264 that lacks a slice in each second group", itertools.islice(seen(damaged), 4 * KEY_EVERY)),
    ):
        count, first, total = unknown(engine, what, images)
        yield f"| {what}: UNKNOWN, from which frame on | {count} of {total}, {first} |"
    opened.ledger.close()


def noisy(frames: int) -> Iterator[Image]:
    """One part, seen again and again."""
    scene, draw = part(60_000).astype(np.float32), np.random.default_rng(0)
    for _ in range(frames):
        yield np.clip(scene + draw.normal(0, NOISE_LEVELS, scene.shape), 0, 255).astype(np.uint8)


def png(image: Image) -> bytes:
    """The image as a file."""
    return cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def encoded(images: Iterable[Image]) -> bytes:
    """The images as an H.264 stream of four slices a picture, in the quality that encoders have by themselves."""
    out: list[bytes] = []
    codec = av.CodecContext.create("libx264", "w")
    codec.width = codec.height = part(0).shape[0]
    codec.pix_fmt, codec.framerate = "yuv420p", 25
    codec.options = {"g": str(KEY_EVERY), "bf": "0", "x264-params": "slices=4:scenecut=0", "crf": "23"}
    for image in images:
        out += [bytes(packet) for packet in codec.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))]
    return b"".join([*out, *[bytes(packet) for packet in codec.encode(None)]])


def without_slices(film: bytes) -> bytes:
    """The stream without one slice in every second group of pictures."""
    starts = [at for at in range(len(film) - 3) if film[at : at + 3] == b"\0\0\1"]
    units = [film[a:b] for a, b in itertools.pairwise([*starts, len(film)])]
    changes = [place for place, unit in enumerate(units) if unit[3] & 31 == SLICE]
    per_group = 4 * (KEY_EVERY - 1)
    gone = set(changes[6 :: 2 * per_group])
    return b"".join(unit for place, unit in enumerate(units) if place not in gone)


def seen(film: Path) -> Iterator[Given]:
    """The stream as a camera of ours gives it."""
    video = Video(str(film))
    try:
        while True:
            yield video.grab()
    except CameraLost:
        video.close()


def unknown(engine: Engine, name: str, images: Iterable[Given]) -> tuple[int, int, int]:
    """How many images are UNKNOWN, the number of the first such one (0: none), and how many there were."""
    count = first = total = 0
    for total, given in enumerate(images, 1):
        stream = isinstance(given, Picture)
        data, problem = (png(given.pixels), given.problem) if isinstance(given, Picture) else (given, None)
        frame = Frame(f"{name} {total}", "", "bench", clock.unix_ms(), data, problem, may_repeat=stream)
        was_judged = engine.judge(frame).score is not None
        count += not was_judged
        first = first or (0 if was_judged else total)
    return count, first, total
