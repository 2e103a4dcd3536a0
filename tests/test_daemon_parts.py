"""The ledger, the folder source, the jobs, the report and the data sets."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from conftest import NOW_MS, frame, png, rows, settle, untracked

from daemon import schedule
from daemon.datasets import demo
from daemon.datasets.playback import Dataset, Item, ReplayError, aside, dataset, play, prepare
from daemon.datasets.rendered import Flaw
from daemon.intake.cameras import Camera
from daemon.intake.folder import FOLDER_BATCH, WatchedFolder
from daemon.intake.redis_frames import RedisFrames
from daemon.intake.sources import Source
from daemon.learning import answers
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import NewVerdict
from daemon.reporting import report
from daemon.service import Service
from daemon.settings.load import Settings
from memory.store import Store
from policies.verdict import Verdict

VERDICT = NewVerdict(frame_id="f", part_id="p", source="test", judged_ms=100, verdict=Verdict.OK, reason="")


def test_wire_ids_rise_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    times = [100, 100, 50, 200, 1]
    verdicts = [replace(VERDICT, frame_id=str(i), judged_ms=time_ms) for i, time_ms in enumerate(times)]
    ids = [ledger.record_verdict(verdict).wire_id for verdict in verdicts]
    assert ids == ["100-1", "100-2", "100-3", "200-4", "200-5"]


def test_a_frame_keeps_its_first_verdict_and_ids_have_no_gaps(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first = ledger.record_verdict(VERDICT)
    assert ledger.record_verdict(replace(VERDICT, verdict=Verdict.NG)) == first
    assert ledger.record_verdict(replace(VERDICT, frame_id="g")).seq == 2
    assert Ledger(tmp_path / "ledger.sqlite").counts() == {"frames.OK": 2}


def test_a_failed_write_leaves_nothing_and_the_ledger_usable(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(Exception, match="NOT NULL"):
        ledger.record_verdict(replace(VERDICT, verdict=None))  # type: ignore[arg-type]  # broken on purpose
    assert ledger.frame("f") is None
    ledger.record_verdict(VERDICT)
    ledger.set_status("service", {"a": 1})
    assert ledger.get_status("service") == {"a": 1}
    assert ledger.get_status("nobody") is None


def test_a_folder_gives_settled_files_oldest_first_in_batches(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for i in range(FOLDER_BATCH + 2):
        path = tmp_path / f"{9 - i % 10}-{i}.png"
        path.write_bytes(png(1))
        os.utime(path, ns=(i * 10**9, i * 10**9))
    (tmp_path / "notes.txt").write_text("no image")
    first = source.read(0)
    assert [f.sent_ms for f in first] == [i * 1000 for i in range(FOLDER_BATCH)]
    for judged in first:
        source.acknowledge(judged)
    second = source.read(0)
    assert len(second) == 2
    second[0].receipt.unlink()  # type: ignore[attr-defined]  # a path, for this source
    source.acknowledge(second[0])
    assert len(list((tmp_path / "judged").iterdir())) == FOLDER_BATCH
    assert len({f.frame_id for f in first + second}) == FOLDER_BATCH + 2


def test_a_file_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=60_000, max_bytes=10**6)
    path = tmp_path / "a.png"
    path.write_bytes(b"half")
    os.utime(path, (1, 1))
    assert source.read(0) == [], "an old modification time does not hide a fresh write"


def test_jobs_are_bounded_and_a_failing_or_missed_one_is_told(service: Service) -> None:
    jobs: BackgroundScheduler = schedule.scheduler(service)
    jobs.start(paused=True)
    try:
        scheduled = {job.id: job for job in jobs.get_jobs()}
        assert set(scheduled) == {"admission", "recalibration", "snapshot", "retention"}
        for job in scheduled.values():
            assert job.coalesce
            assert job.max_instances == 1
            assert job.misfire_grace_time == service.engine.settings.schedule.misfire_grace_s
        jobs.add_job(lambda: 1 / 0, id="broken")
        jobs.add_job(lambda: None, "date", run_date="2020-01-01", id="late", misfire_grace_time=1)
        jobs.resume()
        query = "SELECT kind FROM events WHERE kind LIKE 'job_%' ORDER BY kind"
        until = time.monotonic() + 20
        while time.monotonic() < until and len(rows(service.engine.ledger, query)) < 2:
            time.sleep(0.02)
        assert [r["kind"] for r in rows(service.engine.ledger, query)] == ["job_failed", "job_missed"]
    finally:
        jobs.shutdown()


def test_a_snapshot_tells_other_processes(service: Service) -> None:
    schedule.snapshot(service)
    status = service.engine.ledger.get_status("service")
    assert status is not None
    assert (status["version"], status["broker"], status["untrained_weights"]) == (1, "memory://", True)


def test_the_report_is_one_self_contained_page(service: Service) -> None:
    for number in range(4):
        service.engine.judge(frame(f"ok{number}", png(504 + number)))
    service.engine.judge(frame("<b>burr</b>", png(510, flaw=Flaw.BURR)))
    service.engine.judge(frame("broken", b"no image"))
    answers.record(service.engine.ledger, answers.answer("<b>burr</b>", "defect", "anna"), NOW_MS)
    page = report.render(service.engine, service.store, "Test")
    assert "<b>burr</b>" not in page, "names are escaped"
    assert "&lt;b&gt;burr" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "nothing is fetched from elsewhere"
    assert page.count("data:image/jpeg") >= 1
    assert "untrained, random weights" in page
    assert page.count("<circle") == 5


def test_a_report_of_nothing_is_no_crash(untaught: Service) -> None:
    assert "frames judged" in report.render(untaught.engine, untaught.store, "Empty")


def test_a_protocol_is_read_by_role(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "role,image,label,part\nsetup,a.png,good,1\nstream,b.png,crack,2\nprobe,c.png,good,3\nstream,d.png,,\n"
    )
    data = dataset(path)
    assert data.setup == (tmp_path / "a.png",)
    assert [(i.part_id, i.answer, i.path.name) for i in data.stream] == [("2", "defect", "b.png"), ("d", None, "d.png")]


@pytest.mark.parametrize("text", ["role,image\nstream,\n", "role,image\nwrong,a.png\n", "nothing\n1\n"])
def test_a_wrong_protocol_names_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(ReplayError, match="line 2"):
        dataset(path)
    with pytest.raises(ReplayError):
        dataset(tmp_path / "missing.csv")


def test_a_replay_never_touches_the_line(settings: Settings) -> None:
    replayed = aside(settings, [Path("/data")])
    assert replayed.line == "test-replay"
    assert replayed.state_dir.name == "state-replay"
    assert replayed.source.allowed_roots == (Path("/data"),)


def test_a_replay_starts_from_the_live_head_and_can_be_played_again(service: Service, tmp_path: Path) -> None:
    items = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(600 + number, flaw=Flaw.BURR))
        items.append(Item(f"i{number}", "p", path, "defect"))
    data = Dataset((), tuple(items))
    fresh = Store(tmp_path / "fresh")
    live = service.store
    service.store = fresh
    with pytest.raises(ReplayError, match="neither"):
        prepare(service, data, Store(tmp_path / "nothing"), untracked)
    prepare(service, data, live, untracked)
    assert fresh.head().cause == "copy of version 1"  # type: ignore[union-attr]  # it was just copied
    for _ in range(2):
        done: list[str] = []
        play(service, data.stream, lambda item, judged, done=done: done.append(f"{item.frame_id} {judged.verdict}"))
        assert done == ["i0 NG", "i1 NG", "i2 NG"]
    assert service.engine.ledger.counts()["feedback.accepted"] == 3
    assert fresh.newest_number() == 2, "three confirmed defects made one lesson"
    prepare(service, data, live, untracked)
    with pytest.raises(ReplayError, match="remove that folder"):
        prepare(service, Dataset((), data.stream[:2]), live, untracked)


def test_an_answer_in_time_saves_a_frame_from_retention(service: Service) -> None:
    judged = service.engine.judge(frame("f", png(504)))
    answers.record(service.engine.ledger, answers.answer("f", "good", "anna"), NOW_MS)
    assert not service.engine.ledger.forget_file(judged.seq)
    assert service.engine.ledger.frame("f").kept  # type: ignore[union-attr]  # it was just judged


def test_judged_files_are_tidied_away(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for i in (5, 20, 100):
        (tmp_path / "judged" / f"{i}.x.png").write_bytes(b"x")
    source.tidy(2)
    assert sorted(p.name for p in (tmp_path / "judged").iterdir()) == ["100.x.png", "20.x.png"]


def test_the_demo_s_script_has_all_it_promises() -> None:
    shots = demo.script()
    assert len({shot.frame_id for shot in shots}) == len(shots)
    assert {shot.flaw for shot in shots} == {None, *Flaw}
    assert max(shot.scene.light for shot in shots) > 1.2
    assert max(shot.scene.wear for shot in shots) == 1.0


def test_settle_itself_gives_up(service: Service) -> None:
    with pytest.raises(AssertionError):
        settle(service, lambda: False, turns=1)


@pytest.mark.parametrize("source", [RedisFrames, WatchedFolder, Camera])
def test_every_source_can_do_what_the_service_asks_of_it(source: type) -> None:
    promised = {name for name in vars(Source) if not name.startswith("_") and callable(getattr(Source, name))}
    assert promised == {"read", "acknowledge", "tidy", "close"}
    assert promised <= {name for name in vars(source) if callable(getattr(source, name))}
