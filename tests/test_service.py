"""The service takes everything that comes: bad frames, bad answers, lost Redis, full disks, damaged files."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import fakeredis
import pytest
import redis
from conftest import NOW_MS, details, frame, make_service, rows, settle, untracked
from lessons import teach_from
from pictures import UNUSABLE, png
from servers import RealRedis

from daemon.datasets.rendered import Flaw, Scene
from daemon.learning import answers
from daemon.learning.rollback import roll_back
from daemon.learning.teach import images_in, teach
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.errors import ExtractorMismatch, WeightsError
from memory.extract import Extractor


def verdict_of(service: Service, frame_id: str, data: bytes, **also: str | bytes) -> dict[str, bytes]:
    """Send a frame over the wire and return its verdict message."""
    service.streams.send("frames", {"frame_id": frame_id, "image": data, **also})
    settle(service, lambda: any(f["frame_id"] == frame_id.encode() for _, f in service.streams.entries("verdicts")))
    return next(f for _, f in service.streams.entries("verdicts") if f["frame_id"] == frame_id.encode())


def send_answer(service: Service, **fields: str | bytes) -> None:
    """Send an answer and let the service take it."""
    service.streams.send("feedback", fields)
    service.turn(0)


def events(service: Service, kind: str) -> list[Mapping[str, object]]:
    return details(service.engine.ledger, kind)


def test_a_good_part_passes_and_a_burr_is_flagged(service: Service) -> None:
    good = verdict_of(service, "g", png(504), part_id="4711")
    assert (good["verdict"], good["part_id"], good["version"]) == (b"OK", b"4711", b"1")
    bad = verdict_of(service, "b", png(501, flaw=Flaw.BURR))
    assert bad["verdict"] == b"NG"
    assert float(bad["score"]) > float(bad["threshold"])
    assert bad["asked"] == b"1"
    assert 0 < float(bad["p_value"]) <= 1
    assert json.loads(bad["drift"])["trust"] == "stable"
    assert service.engine.kept.anomaly(bad["map"].decode()) is not None


def test_without_a_bank_every_frame_is_unknown(untaught: Service) -> None:
    untaught.start()
    verdict = verdict_of(untaught, "f", png(1))
    assert verdict["verdict"] == b"UNKNOWN"
    assert b"driftline teach" in verdict["reason"]


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_bad_image_is_unknown_counted_and_kept_aside(service: Service, data: bytes) -> None:
    verdict = verdict_of(service, "bad", data)
    assert verdict["verdict"] == b"UNKNOWN"
    assert verdict["reason"]
    assert service.engine.ledger.counts()["frames.UNKNOWN"] == 1
    row = service.engine.ledger.frame("bad")
    assert row is not None
    assert service.engine.kept.image(row.kept) == data
    assert verdict_of(service, "next", png(504))["verdict"] == b"OK", "the service is up"


@pytest.mark.parametrize(
    "fields",
    [
        {"image": b"x"},
        {"frame_id": "", "image": b"x"},
        {"frame_id": b"\xff\xfe", "image": b"x"},
        {"frame_id": "f" * 300, "image": b"x"},
        {"frame_id": "f"},
        {"frame_id": "f", "image": b"x", "path": "also.png"},
        {"frame_id": "f", "path": "/etc/passwd"},
        {"frame_id": "f", "path": "../../etc/passwd"},
        {"frame_id": "f", "path": "\0"},
    ],
)
def test_a_malformed_frame_message_is_answered_and_buried(service: Service, fields: dict[str, str | bytes]) -> None:
    service.streams.send("frames", fields)
    settle(service, lambda: bool(service.streams.entries("verdicts")))
    ((_, verdict),) = service.streams.entries("verdicts")
    assert verdict["verdict"] == b"UNKNOWN"
    ((_, dead),) = service.streams.entries("dead")
    assert dead["dead_reason"].decode() in verdict["reason"].decode()
    assert len(events(service, "frame_refused")) == 1
    (row,) = rows(service.engine.ledger, "SELECT * FROM frames")
    kept = service.engine.kept.image(row["kept"]) if row["kept"] else None
    assert kept == fields.get("image"), "its image is kept aside"


def test_a_frame_sent_twice_has_one_verdict(service: Service) -> None:
    first = verdict_of(service, "f", png(504))
    service.streams.send("frames", {"frame_id": "f", "image": png(504)})
    service.turn(0)
    ((_, only),) = service.streams.entries("verdicts")
    assert only == first
    assert events(service, "frame_again") == [{"frame_id": "f"}]


def test_a_used_frame_id_with_another_image_is_unknown_and_never_silent(service: Service) -> None:
    verdict_of(service, "000017", png(504))
    for _ in range(2):
        service.streams.send("frames", {"frame_id": "000017", "image": png(501, flaw=Flaw.BURR)})
        service.turn(0)
    (_, _), (_, second) = service.streams.entries("verdicts")
    assert second["verdict"] == b"UNKNOWN"
    assert second["frame_id"].startswith(b"000017@")
    assert b"unique" in second["reason"]
    assert len(service.streams.entries("dead")) == 2


def test_a_failing_backbone_costs_the_frame_not_the_service(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def broken(_batch: object) -> None:
            raise RuntimeError("CUDA out of memory")

        patch.setattr(service.engine.extractor, "_quick", broken)
        verdict = verdict_of(service, "f", png(504))
    assert verdict["verdict"] == b"UNKNOWN"
    assert b"out of memory" in verdict["reason"]
    assert verdict_of(service, "next", png(504))["verdict"] == b"OK"


def test_an_answer_to_an_unreadable_frame_does_not_stop_learning(service: Service) -> None:
    verdict_of(service, "broken", b"no image")
    send_answer(service, frame_id="broken", verdict="defect", operator="anna")
    assert service.engine.ledger.counts()["feedback.late"] == 1
    _confirm_new_material(service)
    service.lesson_if_due()
    assert service.store.newest_number() == 2


def test_an_image_that_was_altered_on_disk_teaches_nothing(service: Service, settings: Settings) -> None:
    _confirm_new_material(service)
    for path in (settings.state_dir / "frames").rglob("*.image"):
        path.write_bytes(png(1, flaw=Flaw.BURR))
    service.lesson_if_due()
    assert service.store.newest_number() == 1
    assert len(events(service, "image_lost")) == 3


def test_an_operator_may_correct_a_mistake(service: Service) -> None:
    for number in range(3):
        verdict_of(service, f"f{number}", png(600 + number, Scene(wear=1.0, warmth=1.0)))
        send_answer(service, frame_id=f"f{number}", verdict="defect", operator="anna")
        send_answer(service, frame_id=f"f{number}", verdict="good", operator="anna")
    assert service.engine.ledger.counts()["feedback.correction"] == 3
    service.lesson_if_due()
    head = service.store.head()
    assert head is not None
    assert set(head.added) == {"f0", "f1", "f2"}
    assert service.store.load(head).snapshot.confirmed_defects.samples == ()


def test_whatever_redis_refuses_is_waited_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict_of(service, "before", png(504))
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> None:
            raise redis.ResponseError("MISCONF Redis is configured to save RDB snapshots, but it is unable to persist")

        patch.setattr(service.streams._client, "xreadgroup", full)
        service.turn(0)
        assert "MISCONF" in service.trouble["redis"]
    settle(service, lambda: not service.trouble)


@pytest.mark.parametrize("name", [b"pr\xfcf.png", b"n" * 240 + b".png"])
def test_a_watched_file_may_have_any_name(
    settings: Settings, extractor: Extractor, wire: RedisStreams, good_parts: Path, tmp_path: Path, name: bytes
) -> None:
    source = settings.source.model_copy(update={"kind": "folder", "folder": tmp_path / "inbox", "settle_ms": 0})
    service = make_service(settings.model_copy(update={"source": source}), extractor, wire)
    teach_from(service, good_parts)
    service.start()
    Path(os.fsdecode(os.fsencode(tmp_path / "inbox") + b"/" + name)).write_bytes(png(504))
    settle(service, lambda: len(list((tmp_path / "inbox" / "judged").iterdir())) == 1)
    assert len(wire.entries("verdicts")) == 1


@pytest.mark.slow
def test_the_light_is_carried_over_to_another_reference(service: Service, tmp_path: Path) -> None:
    for number in range(80):
        service.engine.judge(frame(str(number), png(700 + number, Scene(light=1.3))))
    bright = tmp_path / "bright"
    bright.mkdir()
    for number in range(16):
        (bright / f"{number:02d}.png").write_bytes(png(number, Scene(light=1.3)))
    before = service.engine.active.monitor.gain.mean()  # type: ignore[union-attr]  # it is active
    assert before > 0.2
    teach_from(service, bright)
    service.notice_versions()
    assert abs(service.engine.active.monitor.gain.mean()) < 0.03  # type: ignore[union-attr]  # as above
    roll_back(service.store, service.engine.ledger, 1, "x", NOW_MS)
    service.notice_versions()
    after = service.engine.active.monitor.gain.mean()  # type: ignore[union-attr]  # as above
    assert after == pytest.approx(before, abs=1e-9)


def test_a_late_frame_is_unknown(
    settings: Settings, extractor: Extractor, wire: RedisStreams, service: Service
) -> None:
    del service  # it taught the store
    policy = settings.policy.model_copy(update={"deadline_ms": 50})
    hasty = make_service(settings.model_copy(update={"policy": policy}), extractor, wire)
    hasty.start()
    row = hasty.engine.judge(replace(frame("late", png(1)), sent_ms=hasty.engine.clock_ms() - 1000))
    assert row.verdict == "UNKNOWN"
    assert "deadline" in row.reason
    assert hasty.engine.judge(frame("prompt", png(504))).verdict == "OK"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"frame_id": "f", "verdict": "good"},
        {"frame_id": "f", "verdict": "maybe", "operator": "anna"},
        {"frame_id": "f", "verdict": "defect", "operator": "anna", "region": "not json"},
        {"frame_id": "f", "verdict": "defect", "operator": "anna", "region": "[0, 0, 2, 1]"},
        {"frame_id": "f", "verdict": "defect", "operator": "anna", "region": "[0, 0, 1]"},
        {"frame_id": "f", "verdict": "defect", "operator": "anna", "region": "[NaN, 0, 1, 1]"},
        {"frame_id": "f", "verdict": "defect", "operator": "anna", "region": "[" * 100_000},
        {"frame_id": "f", "verdict": "good", "operator": "x" * 300},
        {"frame_id": b"\xff", "verdict": "good", "operator": "anna"},
        {"frame_id": "never-judged", "verdict": "good", "operator": "anna"},
    ],
)
def test_an_unusable_answer_is_buried_with_a_reason(service: Service, fields: dict[str, str | bytes]) -> None:
    verdict_of(service, "f", png(504))
    send_answer(service, **(fields or {"nothing": "1"}))
    ((_, dead),) = service.streams.entries("dead")
    assert dead["dead_reason"]
    assert service.engine.ledger.counts()["events.feedback_refused"] == 1
    assert rows(service.engine.ledger, "SELECT * FROM feedback") == []
    send_answer(service, frame_id="f", verdict="good", operator="anna")
    assert len(rows(service.engine.ledger, "SELECT * FROM feedback")) == 1, "the service is up"


def test_an_answer_sent_twice_counts_once(service: Service) -> None:
    verdict_of(service, "f", png(504))
    for _ in range(3):
        send_answer(service, frame_id="f", verdict="good", operator="anna")
    assert service.engine.ledger.counts()["feedback.accepted"] == 1
    assert service.engine.ledger.counts()["events.feedback_again"] == 2


def test_from_contradictory_answers_nothing_is_learned(service: Service) -> None:
    for number in range(3):
        verdict_of(service, f"f{number}", png(600 + number, Scene(wear=1.0, warmth=1.0)))
        send_answer(service, frame_id=f"f{number}", verdict="good", operator="anna")
        send_answer(service, frame_id=f"f{number}", verdict="defect", operator="bert")
    assert service.engine.ledger.counts()["feedback.contradiction"] == 3
    service.learn("test")
    assert service.store.newest_number() == 1
    assert "nothing new" in str(events(service, "hold")[0]["reason"])


def test_an_answer_after_the_image_is_gone_is_late_and_recorded(service: Service) -> None:
    verdict_of(service, "f", png(504))
    row = service.engine.ledger.frame("f")
    assert row is not None
    service.engine.ledger.forget_file(row.seq, lambda: service.engine.kept.drop(row.kept or ""))
    send_answer(service, frame_id="f", verdict="defect", operator="anna")
    assert service.engine.ledger.counts()["feedback.late"] == 1


def test_redis_lost_in_mid_run_and_back(settings: Settings, extractor: Extractor, good_parts: Path) -> None:
    server = fakeredis.FakeServer()
    wire = RedisStreams(fakeredis.FakeRedis(server=server, protocol=2), "memory://", "driftline", "test")
    service = make_service(settings, extractor, wire)
    teach_from(service, good_parts)
    service.start()
    verdict_of(service, "before", png(504))
    wire.send("frames", {"frame_id": "during", "image": png(501)})
    server.connected = False
    service.turn(0)
    service.turn(0)
    assert "redis" in service.trouble
    server.connected = True
    settle(service, lambda: service.engine.ledger.frame("during") is not None and not service.trouble)
    settle(service, lambda: len(wire.entries("verdicts")) == 2)
    assert service.engine.ledger.counts()["events.redis_away"] == 1
    assert service.engine.ledger.counts()["events.redis_back"] == 1


@pytest.mark.redis
def test_redis_absent_at_start_and_a_real_one_killed_in_mid_run(
    settings: Settings, extractor: Extractor, good_parts: Path, real_redis: RealRedis
) -> None:
    real_redis.stop()
    with real_redis.client() as client:
        service = make_service(settings, extractor, RedisStreams(client, real_redis.url, "driftline", "test"))
        teach_from(service, good_parts)
        service.start()
        service.turn(0)
        assert "redis" in service.trouble, "absent at start: told, and tried again"
        real_redis.start()
        settle(service, lambda: not service.trouble)
        for number in range(6):
            service.streams.send("frames", {"frame_id": str(number), "image": png(500 + number)})
        service.turn(0)
        real_redis.stop()
        service.turn(0)
        real_redis.start()
        settle(service, lambda: service.streams.prepared and len(service.streams.entries("verdicts")) == 6)
        assert [f["frame_id"] for _, f in service.streams.entries("verdicts")] == [str(n).encode() for n in range(6)]


def test_a_watched_folder_is_judged_on_while_redis_is_away(
    settings: Settings, extractor: Extractor, good_parts: Path, tmp_path: Path
) -> None:
    server = fakeredis.FakeServer()
    wire = RedisStreams(fakeredis.FakeRedis(server=server, protocol=2), "memory://", "driftline", "test")
    source = settings.source.model_copy(update={"kind": "folder", "folder": tmp_path / "inbox", "settle_ms": 0})
    service = make_service(settings.model_copy(update={"source": source}), extractor, wire)
    teach_from(service, good_parts)
    service.start()
    server.connected = False
    for number in range(10):
        (tmp_path / "inbox" / f"{number}.png").write_bytes(png(500 + number))
    (tmp_path / "inbox" / "fake.png").write_text("text")
    settle(service, lambda: len(list((tmp_path / "inbox" / "judged").iterdir())) == 11)
    assert service.engine.ledger.counts()["frames.UNKNOWN"] == 1
    server.connected = True
    settle(service, lambda: not service.trouble, turns=2000)
    assert len(wire.entries("verdicts")) == 11


def test_weights_that_are_gone_when_a_lesson_needs_them_cost_the_lesson_only(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line on another backend loads them when it learns, which may be months after its start."""
    _confirm_new_material(service)

    def gone(*_: object) -> None:
        raise WeightsError(expected="weights", came="no such file", do="bring them back")

    with monkeypatch.context() as patch:
        patch.setattr("daemon.learning.lesson.learn", gone)
        service.lesson_if_due()
    assert "bring them back" in str(events(service, "lesson_failed")[0]["error"])
    service.lesson_if_due()
    assert service.store.newest_number() == 2


def test_a_full_disk_at_commit_costs_the_lesson_only(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    _confirm_new_material(service)

    def full(_data: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("memory.durable.os.fsync", full)
        service.lesson_if_due()
    assert service.store.newest_number() == 1
    assert "free disk space" in str(events(service, "lesson_failed")[0]["error"])
    assert verdict_of(service, "next", png(504))["verdict"] == b"OK", "scoring goes on"
    service.lesson_if_due()
    assert service.store.newest_number() == 2, "the lesson is made up for once there is space"


def test_a_full_disk_at_a_verdict_loses_no_frame(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = verdict_of(service, "before", png(504))
    with monkeypatch.context() as patch:

        def full(_frame: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(service.engine.ledger, "record_verdict", full)
        service.streams.send("frames", {"frame_id": "during", "image": png(501)})
        service.turn(0)
        assert "disk" in service.trouble
        assert len(service.streams.entries("verdicts")) == 1
    settle(service, lambda: len(service.streams.entries("verdicts")) == 2)
    assert not service.trouble
    assert calm["verdict"] == b"OK"


def test_a_damaged_head_at_start_is_told_and_the_version_before_judges(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams
) -> None:
    _confirm_new_material(service)
    service.lesson_if_due()
    assert service.store.newest_number() == 2
    manifest = settings.state_dir / "store" / "versions" / "000002.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    again = make_service(settings, extractor, wire)
    again.start()
    assert verdict_of(again, "after", png(504))["version"] == b"1"
    assert "000002.json" in str(events(again, "damaged_version")[0]["what"])


def test_a_snapshot_of_another_extractor_is_refused_with_advice(
    service: Service, settings: Settings, wire: RedisStreams
) -> None:
    del service  # it taught the store
    other = Extractor(model="resnet18", layers=(2,), weights="untrained", input_px=64, normalize=True, device="cpu")
    with pytest.raises(ExtractorMismatch, match="new state_dir"):
        make_service(settings, other, wire).start()


def test_a_restart_goes_on_bit_for_bit(
    tmp_path: Path, settings: Settings, extractor: Extractor, good_parts: Path
) -> None:
    """Light drifts all the while; every frame of the restarted line scores as in the line that never stopped."""
    scores = {}
    for name, restarts in (("calm", False), ("restarted", True)):
        wire = RedisStreams(fakeredis.FakeRedis(protocol=2), "memory://", "driftline", name)
        line_settings = settings.model_copy(update={"state_dir": tmp_path / name})
        service = make_service(line_settings, extractor, wire)
        teach_from(service, good_parts)
        service.start()
        for i in range(24):
            if restarts and i % 5 == 4:
                service = make_service(line_settings, extractor, wire)
                service.start()
            service.engine.judge(frame(str(i), png(700 + i, Scene(light=1 + i / 100))))
        query = "SELECT frame_id, score, log_ratio, next_log_ratio FROM frames ORDER BY seq"
        scores[name] = [tuple(row) for row in rows(service.engine.ledger, query)]
    assert scores["calm"] == scores["restarted"]
    assert scores["calm"][-1][-1] > 0.05


def test_a_version_committed_elsewhere_is_taken_up(service: Service, settings: Settings, good_parts: Path) -> None:
    from daemon import build

    engine = build.engine(settings, open_state(settings.state_dir), service.engine.extractor)
    teach(images_in(good_parts), engine, open_state(settings.state_dir).store, "x", untracked)
    service.notice_versions()
    assert verdict_of(service, "f", png(504))["version"] == b"2"


def _confirm_new_material(service: Service) -> None:
    for number in range(3):
        row = service.engine.judge(frame(f"worn{number}", png(600 + number, Scene(wear=1.0, warmth=1.0))))
        answers.record(service.engine.ledger, answers.answer(row.frame_id, "good", "anna"), NOW_MS)


def test_torn_calibration_pictures_keep_nothing_from_starting(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams
) -> None:
    kept = list(service.engine.settings.state_dir.rglob("*.image"))
    assert kept, "the parts that it was taught"
    for path in kept:
        path.write_bytes(b"torn")
    again = make_service(settings, extractor, wire)
    again.start()
    assert again.probe_ms is not None
    assert again.engine.judge(frame("next", png(500))).verdict == "OK"


def test_settle_itself_gives_up(service: Service) -> None:
    with pytest.raises(AssertionError):
        settle(service, lambda: False, turns=1)
