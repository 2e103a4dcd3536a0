"""What a version holds depends on frames and answers alone: not on the clock, nor on when the line was restarted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NOW_MS, frame, line_in, make_service
from lessons import answer
from pictures import png
from versions import commit

from daemon import build
from daemon.cli import terminal
from daemon.datasets.rendered import STEADY, Scene
from daemon.inference import scene_records
from daemon.learning import lesson
from daemon.ledger.frames import first_seen_ms, newest_frames
from daemon.service import Service
from drift.regimes import TAUGHT
from memory.extract import Extractor
from memory.version import CalibrationSet

DIM = Scene(light=0.6, wear=0.4)


def ticking(first_ms: int, step_ms: int) -> Callable[[], int]:
    """A clock that goes on by so much whenever somebody looks."""
    ticks = count(first_ms, step_ms)
    return lambda: next(ticks)


class Line:
    """A copy of a line's state under a clock of its own, which may be killed and started again."""

    def __init__(self, state: Path, folder: Path, extractor: Extractor, clock_ms: Callable[[], int]) -> None:
        folder.mkdir()
        settings = line_in(folder)
        policy = settings.policy.model_copy(update={"audit_share": 0.5})
        self.settings = settings.model_copy(update={"policy": policy})
        self.extractor, self.clock_ms = extractor, clock_ms
        shutil.copytree(state, settings.state_dir)
        self.restart()

    def restart(self) -> None:
        self.service: Service = make_service(self.settings, self.extractor, build.redis_streams(self.settings))
        self.service.engine.clock_ms = self.clock_ms
        self.service.start()

    def show(self, first: int, many: int, scene: Scene, restart_every: int = 0) -> None:
        for number in range(first, first + many):
            if restart_every and number % restart_every == 0:
                self.restart()
            self.service.engine.judge(frame(f"s{number}", png(number, scene)))

    def learn(self, first: int, many: int) -> None:
        for number in range(first, first + many):
            answer(self.service, f"s{number}", "good")
        lesson.learn(self.service.engine, self.service.store, "test")

    def live(self, restart_every: int = 0) -> None:
        """A day, a night that becomes known while it lasts, and another day."""
        self.show(600, 20, STEADY, restart_every)
        self.show(700, 44, DIM, restart_every)
        self.learn(724, 16)
        self.show(744, 30, DIM, restart_every)
        self.learn(744, 10)
        self.show(800, 60, STEADY, restart_every)
        self.learn(800, 40)

    def versions(self) -> list[tuple[object, ...]]:
        return [(v.number, v.blobs, v.threshold, v.added, v.waiting) for v in self.service.store.history()]

    def drift(self) -> list[dict[str, Any]]:
        """What was believed of the scene after every frame, without times."""
        return [_timeless(f.drift) for f in reversed(newest_frames(self.service.engine.ledger, 1_000))]


def _timeless(drift: dict[str, Any]) -> dict[str, Any]:
    for kind in ("changes", "over", "noticed"):
        drift[kind] = [{name: v for name, v in change.items() if name != "since_ms"} for change in drift[kind]]
    return drift


@pytest.fixture(scope="module")
def undisturbed(taught: Path, tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Line:
    line = Line(taught, tmp_path_factory.mktemp("undisturbed") / "line", extractor, ticking(NOW_MS, 100))
    line.live()
    return line


def night_of(line: Line) -> int:
    """The name of the regime that became known."""
    (name,) = {state["known"] for state in line.drift()} - {TAUGHT}
    return int(name)


def test_regimes_are_named_by_the_frames_with_which_they_began(undisturbed: Line) -> None:
    assert len(undisturbed.versions()) == 4
    assert abs(night_of(undisturbed) - 21) <= 3, "the night began with the 21st frame"
    assert set(undisturbed.service.store.current().snapshot.calibration_set.regimes) > {TAUGHT, night_of(undisturbed)}
    assert f"signals.{night_of(undisturbed)}" in undisturbed.service.store.current().snapshot.regimes


@pytest.mark.slow
def test_under_another_clock_and_with_restarts_all_versions_are_the_same(
    undisturbed: Line, taught: Path, tmp_path: Path, extractor: Extractor
) -> None:
    other = Line(taught, tmp_path / "other", extractor, ticking(NOW_MS + 10**9, 7))
    other.live(restart_every=7)
    assert other.drift() == undisturbed.drift()
    assert other.versions() == undisturbed.versions()


def test_a_line_that_is_away_for_longer_than_is_watched_anew_keeps_the_name_of_its_regime(
    taught: Path, tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(taught, tmp_path / "line", extractor, ticking(NOW_MS, 100))
    line.show(600, 20, STEADY)
    line.show(700, 60, DIM)
    away = line.service.engine.drift().regime
    monkeypatch.setattr(scene_records, "REWARM_FRAMES", 40)
    line.restart()
    assert line.service.engine.drift().regime == away
    line.show(760, 1, DIM)
    assert line.drift()[-1]["regime"] == away


def test_a_line_whose_regimes_were_named_by_times_goes_on_with_them(
    undisturbed: Line, tmp_path: Path, extractor: Extractor
) -> None:
    state_dir = undisturbed.settings.state_dir
    line = Line(state_dir, tmp_path / "line", extractor, ticking(NOW_MS + 10**6, 100))
    night, ledger, head = night_of(line), line.service.engine.ledger, line.service.store.current()
    named = {night: NOW_MS - 5}
    regimes = {n.replace(f".{night}", f".{NOW_MS - 5}"): v for n, v in head.snapshot.regimes.items()}
    regimes[f"last.{NOW_MS - 5}"] = np.array([NOW_MS], dtype=np.float64)
    calibration = head.snapshot.calibration_set
    calibration = CalibrationSet(
        calibration.samples, calibration.features, tuple(named.get(r, r) for r in calibration.regimes)
    )
    old = replace(head.snapshot, calibration_set=calibration, regimes=regimes)
    version = head.version
    commit(
        line.service.store,
        old,
        version,
        extractor=version.extractor,
        threshold=version.threshold,
        feedback_through=version.feedback_through,
    )
    line.restart()
    line.show(900, 50, DIM)
    assert line.drift()[-1]["known"] == NOW_MS - 5
    status = line.service.status()["drift"]
    assert "in the regime first seen 2026-09-21" in dict(terminal.scene(status))["scene"]  # type: ignore[arg-type]  # a dictionary
    line.learn(944, 6)
    parts = line.service.store.current().snapshot.regimes
    assert len(parts[f"signals.{NOW_MS - 5}"]) == len(regimes[f"signals.{NOW_MS - 5}"]) + 6
    assert parts[f"last.{NOW_MS - 5}"].tolist() == [ledger.next_seq() - 1]


def test_a_restart_does_without_the_versions_that_retention_has_removed(
    undisturbed: Line, tmp_path: Path, extractor: Extractor
) -> None:
    line = Line(undisturbed.settings.state_dir, tmp_path / "line", extractor, ticking(NOW_MS + 10**6, 100))
    second = line.service.store.version(2)
    (line.settings.state_dir / "store" / "blobs" / second.blobs["regimes"]).unlink()
    assert line.service.store.regimes(second) is None
    line.restart()
    assert line.service.engine.drift().known == undisturbed.service.engine.drift().known
    assert line.service.engine.drift().trust == undisturbed.service.engine.drift().trust


def test_when_a_regime_was_first_seen_is_known_also_where_retention_has_removed_its_first_frame(
    service: Service,
) -> None:
    engine = service.engine
    engine.clock_ms = ticking(NOW_MS, 100)
    rows = [engine.judge(frame(f"s{i}", png(600 + i))) for i in range(3)]
    assert [row.seq for row in rows] == [1, 2, 3]
    assert engine.ledger.next_seq() == 4
    assert first_seen_ms(engine.ledger, 2) == rows[1].judged_ms
    with engine.ledger.database.write() as db:
        db.execute("DELETE FROM frames WHERE seq <> 3")
    assert first_seen_ms(engine.ledger, 2) == rows[2].judged_ms
    assert first_seen_ms(engine.ledger, TAUGHT) == 0
    assert first_seen_ms(engine.ledger, NOW_MS) == NOW_MS, "as regimes were named once"
    with engine.ledger.database.write() as db:
        db.execute("DELETE FROM frames")
    assert engine.ledger.next_seq() == 4, "no number is used twice"
