"""Frames that come faster than they are judged: each is answered in time, evenly chosen, counted, told."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from conftest import details, frame, make_service
from hypothesis import given
from hypothesis import strategies as st
from pictures import png

from daemon.inference.pace import OVER_S, Pace
from daemon.intake.folder import WatchedFolder
from daemon.intake.redis_frames import RedisFrames
from daemon.service import Service
from daemon.settings.load import ConfigError, Settings, load
from daemon.streams import BATCH, RedisStreams, Stream
from memory.extract import Extractor
from policies.overload import Load, Overload, left_out

EACH = st.sampled_from(list(Overload))


@given(how=EACH, number=st.integers(1, 10**9), age_ms=st.floats(0, 1e4), judge_ms=st.floats(0, 1e5))
def test_without_a_deadline_and_with_nothing_behind_every_frame_is_judged(
    how: Overload, number: int, age_ms: float, judge_ms: float
) -> None:
    assert left_out(how, Load(number, age_ms, 0, judge_ms), None) is None


@given(how=EACH, age_ms=st.floats(0, 499), judge_ms=st.floats(0, 1e9))
def test_one_slow_judgement_does_not_end_judging(how: Overload, age_ms: float, judge_ms: float) -> None:
    assert left_out(how, Load(1, age_ms, 0, judge_ms), 1000) is None


@pytest.mark.parametrize("how", list(Overload))
@pytest.mark.parametrize(("age_ms", "judged"), [(890, True), (910, False), (2000, False)])
def test_what_cannot_be_judged_in_time_is_not_begun(how: Overload, age_ms: float, judged: bool) -> None:
    assert (left_out(how, Load(1, age_ms, 0, 50), 1000) is None) == judged


def line(how: Overload, every_ms: int, judge_ms: int, deadline_ms: int | None, frames: int) -> list[tuple[int, str]]:
    """When each frame was answered after it came, and as what, on a line that gives one `every_ms`; an UNKNOWN takes
    one millisecond."""
    now_ms, answers = 0, []
    for number in range(frames):
        came_ms = number * every_ms
        now_ms = max(now_ms, came_ms)
        behind = min(now_ms // every_ms, frames - 1) - number
        why = left_out(how, Load(number, now_ms - came_ms, behind, judge_ms), deadline_ms)
        now_ms += judge_ms if why is None else 1
        answers.append((now_ms - came_ms, "judged" if why is None else "left out"))
    return answers


@pytest.mark.parametrize("how", list(Overload))
def test_at_three_times_too_much_every_frame_is_answered_in_time(how: Overload) -> None:
    answers = line(how, 20, 60, 1000, 3_000)
    assert max(took for took, _ in answers) <= 1000
    judged = [what for _, what in answers].count("judged")
    assert judged > 3_000 / 3.5, "no time is lost"


def test_a_sample_is_even_and_early() -> None:
    answers = line(Overload.SAMPLE, 20, 60, 1000, 3_000)[300:]
    judged = [n for n, (_, what) in enumerate(answers) if what == "judged"]
    assert {b - a for a, b in itertools.pairwise(judged)} <= {1, 2, 3, 4, 5, 6}
    assert max(took for took, _ in answers) <= 500


def test_the_newest_are_answered_at_once() -> None:
    assert max(took for took, _ in line(Overload.NEWEST, 20, 60, None, 3_000)) <= 125


@pytest.mark.parametrize("how", list(Overload))
def test_a_line_that_keeps_up_judges_every_frame(how: Overload) -> None:
    assert {what for _, what in line(how, 100, 60, 1000, 500)} == {"judged"}


def test_the_mean_time_follows_and_imported_frames_are_judged(settings: Settings) -> None:
    pace, policy = Pace(), settings.policy.model_copy(update={"deadline_ms": 1000})
    late = replace(frame("a", png(1)), sent_ms=0)
    for _ in range(50):
        pace.took(100.0)
    assert pace.leaves_out(late, lambda: 1, 790, policy) is None
    assert pace.leaves_out(late, lambda: 1, 810, policy)
    assert pace.leaves_out(replace(late, imported=True), lambda: 1, 810, policy) is None
    assert pace.left_out == 1


def test_an_even_sample_needs_a_deadline() -> None:
    with pytest.raises(ConfigError, match="needs deadline_ms"):
        load(None, ["policy.overload=sample"], {})


@pytest.mark.parametrize("others", [0, 1])
def test_redis_tells_how_many_frames_wait(client: redis.Redis, others: int) -> None:
    streams = RedisStreams(client, "test", "driftline", "line1")
    if others:
        client.xgroup_create(streams.name(Stream.FRAMES), "archive", id="0", mkstream=True)
    source = RedisFrames(streams, (), 1000)
    for number in range(BATCH + 5):
        streams.send("frames", {"frame_id": str(number), "image": b"x"})
    frames = source.read(0)
    assert [f.behind for f in frames] == list(range(BATCH + 4, 4, -1))
    for read in frames:
        source.acknowledge(read)
    assert [f.behind for f in source.read(0)] == [4, 3, 2, 1, 0]


def test_a_folder_tells_how_many_files_wait(tmp_path: Path) -> None:
    folder = WatchedFolder(tmp_path, 0, 1000)
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    assert [f.behind for f in folder.read(100)] == [9, 8, 7, 6, 5, 4, 3, 2]


def test_what_is_left_out_is_unknown_kept_counted_and_told_once(
    settings: Settings, extractor: Extractor, wire: RedisStreams, service: Service
) -> None:
    del service  # it taught the store
    policy = settings.policy.model_copy(update={"overload": Overload.NEWEST})
    hasty = make_service(settings.model_copy(update={"policy": policy}), extractor, wire)
    hasty.start()
    for number in range(6):
        wire.send("frames", {"frame_id": f"f{number}", "image": png(500 + number)})
    for _ in range(3):
        hasty.turn(0)
    frames = [hasty.engine.ledger.frame(f"f{number}") for number in range(6)]
    assert [f.verdict for f in frames if f][:5] == ["UNKNOWN"] * 5
    assert frames[5]
    assert frames[5].score is not None
    assert frames[0]
    assert hasty.engine.kept.image(frames[0].kept or "") == png(500)
    assert "newer frames wait" in frames[0].reason
    assert hasty.status()["left_out"] == 5
    assert len(details(hasty.engine.ledger, "overload")) == 1
    pace, ledger = hasty.engine.pace, hasty.engine.ledger
    pace.tell(ledger, 1, time.monotonic() + OVER_S - 5)
    assert details(ledger, "overload_over") == [], "bursts are one overload"
    for _ in range(2):
        pace.tell(ledger, 1, time.monotonic() + OVER_S + 1)
    assert details(ledger, "overload_over") == [{"left_out": 5}]
    assert hasty.trouble == {}, "it is no fault of the camera's"
