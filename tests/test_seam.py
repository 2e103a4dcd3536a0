"""The seam: a kind of detector that another package brings goes through everything that the patch bank goes through."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import NOW_MS, frame, make_service, untracked
from fastapi.testclient import TestClient
from mean_map import MeanMapLearner
from pictures import png

from daemon import build
from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.inference.shadow import Trial
from daemon.learning import answers, compare, lesson, revocation
from daemon.learning.rollback import roll_back
from daemon.learning.teach import images_in, teach
from daemon.ledger import provenance
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from drift.monitor import CALM
from memory.defects import Defect
from memory.detector import Capacity, GoodPart
from memory.errors import DriftlineError, UnknownDetector
from memory.extract import Extractor
from memory.features import View
from memory.learners import learner_of
from memory.patch_bank.learner import PatchBankLearner
from memory.store import Store
from memory.version import Version
from policies.admission import LabelledParts, Proposal, propose
from policies.fitting import fit
from policies.gate import blamed_samples
from policies.threshold import calibrate

KIND = "mean-map"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that brings the detector of mean_map.py by an entry point."""
    package = tmp_path / "site" / "mean_map-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-map\nVersion: 1\n")
    (package / "entry_points.txt").write_text(f"[driftline.detectors]\n{KIND} = mean_map:MeanMapLearner\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    learner_of.cache_clear()
    yield
    learner_of.cache_clear()


@pytest.fixture
def line(settings: Settings, extractor: Extractor, wire: RedisStreams, good_parts: Path) -> Service:
    """A line that is taught and judged by the second kind of detector."""
    memory = settings.memory.model_copy(update={"detector": KIND})
    service = make_service(settings.model_copy(update={"memory": memory}), extractor, wire)
    teach(images_in(good_parts), service.engine, service.store, "pytest", untracked)
    service.start()
    return service


def judge(line: Service, frame_id: str, number: int, flaw: Flaw | None = None) -> str:
    line.engine.judge(frame(frame_id, png(number, STEADY, flaw)))
    row = line.engine.ledger.frame(frame_id)
    assert row is not None
    return row.verdict


def answer(line: Service, frame_id: str, label: str, operator: str = "anna") -> None:
    answers.record(line.engine.ledger, answers.answer(frame_id, label, operator), NOW_MS)


def learn(line: Service) -> Version:
    version = lesson.learn(line.engine, line.store, "test")
    assert isinstance(version, Version)
    return version


def test_it_is_taught_judges_learns_and_goes_back(line: Service) -> None:
    first = line.store.version(1)
    assert (first.detector, first.bank_size) == (KIND, 16)
    assert judge(line, "good", 5) == "OK"
    assert judge(line, "burr", 501, Flaw.BURR) == "NG"
    answer(line, "good", "good")
    answer(line, "burr", "defect")
    second = learn(line)
    assert (second.detector, second.added, second.bank_size, second.gate["found"]) == (KIND, ("good",), 17, 1)
    assert judge(line, "again", 501, Flaw.BURR) == "NG"
    third = roll_back(line.store, line.engine.ledger, 1, "eva", NOW_MS)
    assert (third.detector, third.removed, third.gate["missed"]) == (KIND, ("good",), [])
    line.notice_versions()
    assert judge(line, "after", 503, Flaw.BURR) == "NG"
    assert Store(line.store._blobs.parent).head() == third, "it is read from disk"


def test_why_names_the_part_that_decided_and_its_teacher(line: Service) -> None:
    judge(line, "good", 5)
    row = line.engine.ledger.frame("good")
    assert row is not None
    nearest = provenance.why(line.store, line.engine.ledger, row)["nearest_good_patch"]
    assert nearest["sample"].endswith(".png")
    assert nearest["admitted"]["who"] == "pytest"


def test_a_lesson_that_would_forget_a_defect_is_held_and_blames_who_is_new(line: Service) -> None:
    """Thirty copies of the burr move the mean until it looks normal."""
    judge(line, "burr", 501, Flaw.BURR)
    answer(line, "burr", "defect")
    learn(line)
    for copy in range(30):
        judge(line, f"between{copy}", 5)  # a camera that gives one image thrice would hang
        judge(line, f"sly{copy}", 501, Flaw.BURR)
        answer(line, f"sly{copy}", "good", "bert")
    hold = lesson.learn(line.engine, line.store, "test")
    assert not isinstance(hold, Version | Trial)
    assert "1 of 1 confirmed defects would be missed" in hold.reason
    assert set(hold.blamed) <= {f"sly{copy}" for copy in range(30)}


def test_answers_are_revoked_and_versions_compared(line: Service) -> None:
    judge(line, "good", 5)
    answer(line, "good", "good", "bert")
    learn(line)
    ids = revocation.answers_of(line.engine.ledger, (), "bert", None, None)
    third = revocation.revoke(line.engine, line.store, ids, "eva", "careless")
    assert (third.detector, third.removed) == (KIND, ("good",))
    before, after = (line.store.load(line.store.version(number)) for number in (2, 3))
    judged, differ = compare.changed(line.engine, before, after, 10, untracked)
    assert judged == 1
    assert {one["frame_id"] for one in differ} <= {"good"}


def test_the_console_shows_scores_teaches_and_goes_live(
    line: Service, wire: RedisStreams, extractor: Extractor, good_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    judge(line, "burr", 501, Flaw.BURR)
    answer(line, "burr", "defect")
    learn(line)
    line.engine.ledger.set_status("service", line.status())
    settings = line.engine.settings
    console = application(line_view(settings, open_state(settings.state_dir), wire), access(ConsoleSettings()))
    with TestClient(console, base_url="http://127.0.0.1:8090") as browser:
        for page in ("/", "/review", "/drift", "/versions", "/versions/2", "/threshold", "/setup"):
            assert browser.get(page).status_code == 200, page
        assert browser.get("/api/versions/2").json()["detector"] == KIND
        assert list(browser.get("/api/threshold").json()["defects"]) == ["burr"]
        assert browser.post("/api/score", content=png(501, STEADY, Flaw.BURR)).json()["verdict"] == "NG"
        assert browser.get("/api/why/burr").json()[0]["nearest_good_patch"]["admitted"]["number"] == 1
        batch = browser.post("/api/setup/begin").json()["batch"]
        for part in sorted(good_parts.iterdir()):
            query = {"batch": batch, "name": part.name}
            assert browser.put("/api/setup/images", params=query, content=part.read_bytes()).status_code == 201
        assert browser.post("/api/setup/teach", json={"batch": batch}).status_code == 202
        while not (work := browser.get("/api/work").json())["work"]["ended"]:
            time.sleep(0.05)
        known = browser.post("/api/setup/known", json={"count": 1}).json() | {"name": "burr.png"}
        bad = png(501, STEADY, Flaw.BURR)
        assert browser.post("/api/setup/check", params=known, content=bad).json()["verdict"] == "NG"
        assert browser.post("/api/setup/live", json={"draft": work["draft"]["id"]}).json() == {"version": 3}
    assert line.store.version(3).detector == KIND


def test_a_verdict_without_evidence_has_a_reason_all_the_same(line: Service) -> None:
    judge(line, "good", 5)
    frame_of = line.engine.ledger.frame("good")
    assert frame_of is not None
    for evidence in (None, {"note": "no part decided"}):
        reason = provenance.why(line.store, line.engine.ledger, replace(frame_of, evidence=evidence))
        assert (reason["nearest_good_patch"] or {"admitted": None})["admitted"] is None


def test_a_version_of_a_kind_that_is_gone_keeps_its_place_and_says_what_to_do(
    line: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package that brought the kind was not installed again: the store is read, and nothing judges in silence."""
    monkeypatch.setattr("memory.learners.entry_points", lambda **_: ())
    learner_of.cache_clear()
    head = line.store.head()
    assert head is not None
    assert (head.detector, line.store.damaged()) == (KIND, [])
    with pytest.raises(UnknownDetector, match="came 'mean-map'; install the package"):
        line.store.load(head)


def test_of_another_kind_everything_is_new_to_the_gate(line: Service) -> None:
    base = line.store.load(line.store.version(1))
    goods = [GoodPart(f"new{i}", view) for i, view in enumerate(base.snapshot.calibration_set.views[:2])]
    bank = PatchBankLearner().fit(goods, Capacity(50, 50), 0)
    seen = base.snapshot.calibration_set.features[0]
    defect = Defect("d", seen, np.ones(seen.grid, dtype=bool))
    proposal = Proposal(base, replace(base.snapshot, detector=bank), calibrate([99.0], 0.5), (), (), ())
    assert blamed_samples(proposal, [defect]) == ("new0", "new1")


def test_who_cannot_leave_a_part_out_does_not_learn_from_what_calibrates(
    line: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = line.store.load(line.store.version(1))
    monkeypatch.setattr(MeanMapLearner, "split_calibration", True)
    view = View(base.snapshot.calibration_set.features[0])
    parts = LabelledParts((GoodPart("flagged", view),), (GoodPart("audited", view),))
    outcome = propose(base, parts, CALM, line.engine.settings.limits, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.added == ("flagged",)
    assert outcome.snapshot.calibration_set.samples[-1] == "audited"
    goods = [GoodPart(name, view) for name in "abcdef"]
    fitted = fit(KIND, goods, (), line.engine.settings.limits, 0)
    assert sorted((*fitted.calibration_set.samples, *fitted.detector.samples)) == list("abcdef")
    assert len(fitted.calibration_set.samples) == 2


def test_a_kind_that_is_not_installed_is_told_by_name() -> None:
    kinds = "composition, exported, mean-map, padim, patch-bank, simplenet"
    with pytest.raises(DriftlineError, match=f"among {kinds}; came 'gone'"):
        learner_of("gone")
