"""The scene as the service lives it: cards told once, in every place; light kept; learning paused; restarts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from conftest import NOW_MS, details, frame, make_service
from lessons import answer, judge, learn
from pictures import png
from proposals import LIMITS, around, good_part, model, showing

from daemon.cli import terminal
from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.inference import scene_records
from daemon.ledger.records import JudgedFrame, unpacked
from daemon.reporting import report
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from drift.causes import Cause
from drift.monitor import CALM, Change, Trust
from drift.reference import Reference
from drift.signals import LIGHT, SIGNALS
from memory.extract import Extractor
from policies.admission import Hold, LabelledParts, propose
from policies.notices import Action, notices, paused

DIM = Scene(light=0.6)


def events(service: Service, kind: str) -> list[Mapping[str, object]]:
    return details(service.engine.ledger, kind)


def judge_parts(service: Service, first: int, count: int, seen: Scene) -> list[JudgedFrame]:
    return [service.engine.judge(frame(f"s{i}", png(i, seen))) for i in range(first, first + count)]


@pytest.mark.slow
def test_a_change_is_told_once_when_it_comes_and_once_when_it_goes(service: Service) -> None:
    judge_parts(service, 700, 20, STEADY)
    judge_parts(service, 720, 40, DIM)
    (card,) = [t for t in events(service, "drift") if t["cause"] == "light"]
    assert card["action"] == Action.COMPENSATED
    assert str(card["amount"]).startswith("light -")
    assert service.engine.drift().trust is Trust.COMPENSATING
    assert [t["now"] for t in events(service, "trust")][:1] == [Trust.COMPENSATING]
    judge_parts(service, 760, 90, STEADY)
    assert [t["cause"] for t in events(service, "drift_over")].count("light") == 1
    assert events(service, "trust")[-1]["now"] == Trust.STABLE
    assert len([t for t in events(service, "drift") if t["cause"] == "light"]) == 1


def test_status_and_report_show_the_card(service: Service) -> None:
    judge_parts(service, 700, 20, STEADY)
    judge_parts(service, 720, 40, DIM)
    drift = json.loads(json.dumps(service.status()))["drift"]
    rows = dict(terminal.scene(drift))
    assert rows["scene"].startswith("compensating, light -")
    assert "lamp" in rows["light"]
    assert "Compensated" in rows["light"]
    page = report.render(service.engine, service.store, "Test")
    assert drift["cards"][0]["amount"].split(" ")[0] in page
    assert "lamp, shutter or daylight" in page
    assert "compensating" in page


def test_a_report_of_frames_from_before_cards_is_no_crash(service: Service) -> None:
    judge_parts(service, 700, 3, STEADY)
    old = {"trust": "drifting", "causes": {"red": 5}, "deviation": {"red": 2.0, "other": 9.0}, "log_ratio": 0.1}
    with service.engine.ledger.database.write() as db:
        db.execute("UPDATE frames SET drift = ?, light = NULL WHERE frame_id = 's701'", (json.dumps(old),))
    assert "drifting" in report.render(service.engine, service.store, "Test")


def test_a_part_that_is_dark_all_over_is_found(service: Service) -> None:
    """However slow it is, compensation must not lighten a defect away."""
    judge_parts(service, 700, 20, STEADY)
    assert {judged.verdict for judged in judge_parts(service, 720, 10, DIM)} == {"NG"}
    assert np.abs(service.engine.active.monitor.gain).max() < 0.05  # type: ignore[union-attr]  # it is active
    assert {judged.verdict for judged in judge_parts(service, 730, 5, STEADY)} == {"OK"}


def test_a_restarted_line_goes_on_with_its_changes_and_says_so(
    settings: Settings, extractor: Extractor, wire: RedisStreams, service: Service
) -> None:
    judge_parts(service, 700, 20, STEADY)
    judge_parts(service, 720, 40, DIM)
    again = make_service(settings, extractor, wire)
    again.start()
    assert again.engine.drift() == service.engine.drift()
    assert again.status()["drift"]["rewarmed_frames"] == 60  # type: ignore[index]  # a dictionary
    before = len(events(again, "drift"))
    judge_parts(again, 760, 5, DIM)
    assert len(events(again, "drift")) == before, "what was told is not told again"


def test_a_frame_from_before_colours_is_seen_in_the_light_it_was_judged_in(service: Service) -> None:
    judge_parts(service, 700, 30, Scene(light=1.2))
    row = service.engine.ledger.frame("s729")
    assert row is not None
    assert service.engine.active is not None
    reference = service.engine.active.monitor.reference
    assert np.array_equal(row.scene.gain, scene_records.gain_under(row.scene, reference)), (
        "to the bit, or lessons were not repeatable"
    )
    with service.engine.ledger.database.write() as db:
        db.execute("UPDATE frames SET light = NULL, taught_light = NULL, next_light = NULL, signals = NULL")
    old = service.engine.ledger.frame("s729")
    assert old is not None
    assert old.scene.gain == pytest.approx(row.scene.gain, abs=0.01)
    assert scene_records.gain_under(old.scene, reference) == pytest.approx(old.scene.gain, abs=1e-9)
    brighter = replace(reference, mean=reference.mean + 0.5, light=reference.light + 0.5)
    assert scene_records.gain_under(row.scene, brighter) == pytest.approx(row.scene.gain - 0.5)
    assert scene_records.gain_under(old.scene, brighter) == pytest.approx(old.scene.gain - 0.5)


def test_a_line_that_was_taught_before_causes_were_known_goes_on_and_says_so(
    settings: Settings, extractor: Extractor, wire: RedisStreams, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_parts(service, 700, 3, STEADY)
    of = Reference.of
    monkeypatch.setattr(
        Reference,
        "of",
        lambda arrays: of(
            {"mean": np.r_[arrays["mean"][0], np.zeros(8)], "spread": np.full(9, 0.03)}
            | {name: arrays[name] for name in ("axes", "centre")}
        ),
    )
    again = make_service(settings, extractor, wire)
    again.start()
    assert {judged.verdict for judged in judge_parts(again, 703, 3, STEADY)} == {"OK"}
    judge_parts(again, 706, 60, DIM)
    assert [change.cause for change in again.engine.drift().changes] == ["light"]


CHANGES = {
    "blur": Action.PAUSED,
    "noise": Action.PAUSED,
    "contrast": Action.PAUSED,
    "shift": Action.PAUSED,
    "rotation": Action.PAUSED,
    "light": Action.COMPENSATED,
    "colour": Action.COMPENSATED,
    "material": Action.ASKING,
}


@pytest.mark.parametrize("cause", CHANGES)
def test_learning_pauses_for_camera_faults_and_for_nothing_else(cause: str, rng: np.random.Generator) -> None:
    drift = replace(CALM, trust=Trust.DRIFTING, changes=(Change(Cause(cause), NOW_MS, f"{cause} by much", 5.0),))
    (card,) = notices(drift)
    assert card.action is CHANGES[cause]
    assert card.amount == f"{cause} by much"
    assert (paused(drift) is not None) == (card.action is Action.PAUSED)
    outcome = propose(model(rng), LabelledParts((good_part("n", showing(around(rng, 6))),)), drift, LIMITS, 0)
    if card.action is Action.PAUSED:
        assert isinstance(outcome, Hold)
        assert f"{cause} by much" in outcome.reason
    assert isinstance(outcome, Hold) or outcome.waiting or outcome.added


def test_a_fault_within_what_single_taught_parts_show_is_watched_and_stops_no_lesson() -> None:
    drift = replace(CALM, trust=Trust.DRIFTING, changes=(Change(Cause.NOISE, NOW_MS, "noise +9 %", 1.3),))
    (card,) = notices(drift)
    assert card.action is Action.WATCHED
    assert paused(drift) is None


def test_what_was_confirmed_while_learning_paused_is_learned_afterwards(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (600, 601, 602):
        judge(service, f"g{number}", number)
        answer(service, f"g{number}", "good")
    blurred = replace(CALM, trust=Trust.DRIFTING, changes=(Change(Cause.BLUR, NOW_MS, "sharpness -40 %", 9.0),))
    monkeypatch.setattr(service.engine, "drift", lambda: blurred)
    hold = learn(service)
    assert isinstance(hold, Hold)
    assert "clean the lens" in hold.reason
    monkeypatch.undo()
    version = learn(service)
    assert not isinstance(version, Hold)
    assert {"g600", "g601"} & set(version.added)  # type: ignore[union-attr]  # no trial is set


def test_a_burst_of_defects_is_no_drift(service: Service) -> None:
    judge_parts(service, 700, 30, STEADY)
    for number in range(10):
        service.engine.judge(frame(f"burr{number}", png(740 + number, flaw=Flaw.BURR)))
    assert service.engine.drift().trust is Trust.STABLE
    assert not events(service, "drift")


def test_recorded_signals_come_back_to_the_bit_and_older_ones_as_they_were_believed(service: Service) -> None:
    (judged,) = judge_parts(service, 700, 1, Scene(light=1.3))
    packed = judged.scene.signals
    assert packed is not None
    seen = scene_records._signals(packed)
    assert scene_records._packed(seen) == packed
    older = scene_records._signals(unpacked(packed)[: len(SIGNALS) + len(LIGHT)].tobytes())
    assert np.array_equal(older.values, seen.values)
    assert not older.reach.any()
