"""Which thread has looked at a frame never shows in its verdict."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import NOW_MS, frame, rows, settle, start_line
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.inference import looks
from daemon.inference.looks import Ahead, Look
from daemon.intake import redis_frames
from daemon.intake.onto_canvas import Decoded
from daemon.intake.waiting import AHEAD, Waiting
from daemon.service import Service
from drift.light import LightEstimate
from memory.geometry import Geometry

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.settings.load import Settings
    from daemon.streams import RedisStreams
    from memory.extract import Extractor

WORN = Scene(light=1.3)
SAID = "SELECT frame_id, verdict, reason, score, threshold, nearest, log_ratio, next_log_ratio FROM frames"
LINE: list[tuple[int, Scene, Flaw | None]] = [
    *((500 + n, STEADY, None) for n in range(14)),  # a start, then a steady line
    (610, STEADY, Flaw.BURR),
    (520, STEADY, None),
    *((611 + n, STEADY, Flaw.BURR) for n in range(3)),  # a burst
    *((700 + n, WORN, None) for n in range(14)),  # another lamp
]
FRAMES = [(f"f{at}", png(number, scene, flaw)) for at, (number, scene, flaw) in enumerate(LINE)]


@pytest.fixture
def ahead(service: Service) -> Ahead:
    """What looks ahead, of its own, for a line beyond its start."""
    for number in range(500, 510):
        service.engine.judge(frame(f"before{number}", png(number)))
    return Ahead(service.engine.settings.source)


def decoded(service: Service, number: int) -> Future[Decoded]:
    """An image that was decoded beforehand."""
    image = Future[Decoded]()
    image.set_result(service.engine.decode(png(number)))
    return image


def test_frames_in_a_row_are_judged_as_each_alone(
    taught: Path,
    service: Service,
    settings: Settings,
    extractor: Extractor,
    wire: RedisStreams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = settings.model_copy(update={"state_dir": tmp_path / "alone"})
    alone, threads, look = start_line(taught, other, extractor, wire), Counter[str](), looks.look
    for name, data in FRAMES:
        alone.engine.judge(frame(name, data))

    def noted(*seen: Any) -> Look:
        threads[threading.current_thread().name.split("_")[0]] += 1
        return look(*seen)

    monkeypatch.setattr(looks, "look", noted)
    for name, data in FRAMES:
        service.streams.send("frames", {"frame_id": name, "part_id": f"part-{name}", "image": data})
    settle(service, lambda: len(rows(service.engine.ledger, SAID)) == len(FRAMES))
    together, each = (
        [tuple(row) for row in rows(line.engine.ledger, f"{SAID} ORDER BY seq")] for line in (service, alone)
    )
    assert together == each
    assert {row[1] for row in each} >= {"OK", "NG"}
    assert threads["MainThread"] < 0.8 * len(FRAMES), (
        "the others were looked at ahead, though starts and flags are many"
    )


def test_a_look_ahead_is_taken_once_and_its_frame_is_not_looked_at_again(
    service: Service, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    active, (first, second, third) = service.engine.active, (decoded(service, n) for n in (520, 521, 522))
    assert active is not None
    now = ahead.look(png(520), first, active, NOW_MS)
    ahead.begin([second, third], now, active, NOW_MS)
    while not all(each.found.done() for each in ahead._begun):  # the looks under way
        time.sleep(0.01)
    active.monitor._light_tracker = active.monitor.light_after(now.placed.levels, NOW_MS)  # it was judged
    begun = [each.found for each in ahead._begun]  # the looks under way
    with monkeypatch.context() as patch:
        patch.setattr(looks, "look", None)
        assert ahead.look(png(521), second, active, NOW_MS) is begun[0].result()[0]
    assert ahead.look(png(521), second, active, NOW_MS) is not begun[0].result()[0]


@pytest.mark.parametrize("otherwise", ["light", "version", "image", "failed"])
def test_a_look_is_given_out_for_nothing_else(service: Service, ahead: Ahead, otherwise: str) -> None:
    active, first, second = service.engine.active, decoded(service, 520), decoded(service, 521)
    assert active is not None
    now = ahead.look(png(520), first, active, NOW_MS)
    if otherwise == "failed":
        second = Future[Decoded]()
        second.set_exception(ValueError("refused then"))
    ahead.begin([second], now, active, NOW_MS)
    (begun,) = ahead._begun  # the look under way
    begun.found.exception()
    tracker = active.monitor.light_after(now.placed.levels, NOW_MS)
    if otherwise == "light":
        tracker.light = LightEstimate((4.0, 4.0, 4.0))
    active.monitor._light_tracker = tracker  # what judging made of it
    asked = (
        decoded(service, 522) if otherwise == "image" else decoded(service, 521) if otherwise == "failed" else second
    )
    judging = replace(active) if otherwise == "version" else active
    found = ahead.look(png(521), asked, judging, NOW_MS)
    assert otherwise == "failed" or found is not begun.found.result()[0]
    right = looks.look_at(asked.result(), judging, NOW_MS, service.engine.settings.source)
    assert (found.image == right.image).all()
    assert (found.view.features.patches == right.view.features.patches).all()
    assert ahead.hidden_ms == 0


def test_where_no_thread_can_be_had_frames_are_looked_at_in_their_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def starts(thread: threading.Thread) -> None:
        if thread.name.startswith("look ahead"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts)
    for name, data in FRAMES[:14]:
        service.streams.send("frames", {"frame_id": name, "image": data})
    settle(service, lambda: len(rows(service.engine.ledger, SAID)) == 14)
    assert {row["verdict"] for row in rows(service.engine.ledger, SAID)} == {"OK"}


def test_frames_that_will_be_left_out_are_not_looked_at(
    taught: Path,
    settings: Settings,
    extractor: Extractor,
    wire: RedisStreams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = settings.model_copy(
        update={"policy": settings.policy.model_copy(update={"overload": "sample", "deadline_ms": 10_000})}
    )
    line, looked, look = start_line(taught, busy, extractor, wire), Counter[str](), looks.look
    monkeypatch.setattr(
        "daemon.inference.pace.left_out", lambda _, load, __: "every other" if load.number % 2 else None
    )
    monkeypatch.setattr(looks, "look", lambda *seen: looked.update("n") or look(*seen))
    for name, data in FRAMES[:14]:
        line.streams.send("frames", {"frame_id": name, "image": data})
    settle(line, lambda: len(rows(line.engine.ledger, SAID)) == 14)
    judged = [row for row in rows(line.engine.ledger, SAID) if row["verdict"] != "UNKNOWN"]
    assert looked["n"] == len(judged) == 7


def test_a_turn_ends_though_frames_wait_and_they_are_judged_in_the_next(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.service.TURN_S", 0.0)
    for name, data in FRAMES[:3]:
        service.streams.send("frames", {"frame_id": name, "image": data})
    monkeypatch.setattr("daemon.service.TURN_S", 1e-9)
    service.turn(0)
    assert service.waiting
    monkeypatch.setattr("daemon.service.TURN_S", 60.0)
    service.turn(0)
    assert [row["frame_id"] for row in rows(service.engine.ledger, SAID)] == ["f0", "f1", "f2"]


def test_a_version_that_comes_in_mid_batch_judges_the_next_frame(service: Service) -> None:
    """What was looked at by the version before is not taken."""
    engine = service.engine
    for name, data in FRAMES[:14]:
        service.streams.send("frames", {"frame_id": name, "image": data})
    judge, seen = engine.judge, []

    def and_switch(*frames: Any) -> Any:
        if len(seen) == 10:
            engine.activate(service.store.current())
        seen.append(judge(*frames))
        return seen[-1]

    engine.judge = and_switch  # type: ignore[method-assign]  # while a batch is judged
    settle(service, lambda: len(rows(engine.ledger, SAID)) == 14)
    assert {row["verdict"] for row in rows(engine.ledger, SAID)} == {"OK"}


def test_no_more_images_are_decoded_than_are_next() -> None:
    seen: list[bytes] = []

    def decode(data: bytes) -> Decoded:
        seen.append(data)
        return Decoded(data, np.zeros((64, 64, 3), dtype=np.uint8), Geometry.squeezed(64))

    waiting = Waiting(decode)
    waiting.add([frame(str(n), bytes([n])) for n in range(40)])
    assert len(waiting.following) == AHEAD
    first = waiting.take()
    assert first.image is not None
    assert first.image.result().data == b"\0"
    for each in waiting.following:
        assert each.image is not None
        each.image.result()
    assert len(seen) <= AHEAD + 1
    waiting.forget()
    assert not waiting


def test_a_batch_holds_no_more_than_some_megabytes(wire: RedisStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_frames, "MOST_BYTES", 10_000)
    wire.prepare()
    frames = redis_frames.RedisFrames(wire, (), 1 << 20)
    for number in range(40):
        wire.send("frames", {"frame_id": f"f{number}", "image": bytes(4_000 if number < 20 else 100)})
    sizes = []
    while batch := frames.read(1):
        for each in batch:
            frames.acknowledge(each)
        sizes.append(len(batch))
    assert sizes[0] == 8
    assert max(sizes[1:6]) <= 2
    assert sum(sizes) == 40


def test_what_is_expected_changes_nothing(service: Service) -> None:
    """Only a frame that was judged moves the light's tracker."""
    engine = service.engine
    for number in range(500, 512):
        engine.judge(frame(str(number), png(number)))
    assert engine.active is not None
    monitor = engine.active.monitor
    before = monitor.light
    expected = monitor.light_after(np.array([4.1, 4.2, 4.3]), NOW_MS)
    assert monitor.light == before
    assert expected.light != before
