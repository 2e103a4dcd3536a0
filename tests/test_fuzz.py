"""Every decoder of bytes from outside takes whatever comes: it gives what it promises or raises our own error."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import absent_redis
from test_bad_files import LIMIT, WHOLE

from daemon.datasets.playback import dataset
from daemon.datasets.readers import lookout
from daemon.intake.decode import ImageRejected, read
from daemon.intake.pixel_formats import PixelsRejected, image_from_buffer
from daemon.intake.redis_frames import RedisFrames
from daemon.learning import answers
from daemon.settings.load import load
from daemon.streams import Message, RedisStreams, Stream
from memory import blobs, version
from memory.errors import DriftlineError
from memory.region import Region, RegionRejected

TEXT = st.text(max_size=60)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
BYTES = st.binary(max_size=300)
SIDE = st.integers(-2, 40)
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(
    kind=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_images_with_changed_bytes(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE[kind])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        raw = read(bytes(data), LIMIT)
    except ImageRejected:
        return
    assert 0 < raw.pixels.shape[0] * raw.pixels.shape[1] <= LIMIT


FIELDS = st.dictionaries(
    st.sampled_from(["frame_id", "part_id", "image", "path", "verdict", "operator", "region", "key", "x"]),
    BYTES | JSON.map(lambda value: json.dumps(value).encode()),
)


@given(fields=FIELDS)
def test_messages_of_answers(fields: dict[str, bytes]) -> None:
    try:
        answer = answers.parse(Message(Stream.FEEDBACK, "1-1", fields))
    except answers.FeedbackRejected:
        return
    assert answer.frame_id
    assert answer.operator


@given(fields=FIELDS)
def test_messages_of_frames(fields: dict[str, bytes]) -> None:
    source = RedisFrames(RedisStreams(absent_redis(), "test", "driftline", "line"), (), 100)
    frame = source._frame(Message(Stream.FRAMES, "1-1", fields))
    assert frame.frame_id
    assert frame.problem is not None or frame.data is not None


@given(record=JSON | st.fixed_dictionaries({"include": JSON, "ignore": JSON}))
def test_regions(record: Any) -> None:
    try:
        region = Region.of(record)
    except RegionRejected:
        return
    assert Region.of(region.to_json()) == region


@given(
    data=BYTES, width=st.integers(-2, 40), height=st.integers(-2, 40), name=TEXT | st.sampled_from(["Mono8", "RGB8"])
)
def test_buffers_of_cameras(data: bytes, width: int, height: int, name: str) -> None:
    try:
        image = image_from_buffer(memoryview(data), width, height, name)
    except PixelsRejected:
        return
    assert image.shape[:2] == (height, width)


@given(data=BYTES | JSON.map(lambda value: json.dumps(value).encode()))
def test_manifests_and_blobs(data: bytes) -> None:
    for decode in (lambda: version.decode(data, "test"), lambda: blobs.arrays(data)):
        with pytest.raises(DriftlineError):
            decode()


@in_a_folder
@given(data=BYTES | TEXT.map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize(
    ("name", "read_it"),
    [
        ("config.yaml", load),
        ("set.csv", dataset),
        ("set.manifest", lambda path: lookout.read(path, path.parent)),
    ],
)
def test_files_of_engineers(tmp_path: Path, name: str, read_it: Any, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with contextlib.suppress(DriftlineError):
        read_it(path)
