"""A proposal on trial: the head judges, both score, people settle where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from conftest import NOW_MS, details, frame, make_service, rows
from lessons import answer, judge, learn
from versions import arrays_of

from daemon.inference.shadow import Trial, trial_verdict
from daemon.learning.rollback import roll_back
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from drift.monitor import CALM, Trust
from memory.errors import StoreError
from memory.extract import Extractor
from memory.store import Store
from memory.version import Version
from policies.admission import Hold
from policies.shadow import Disagreement, ShadowReport, weigh
from policies.verdict import Verdict

FRAMES = 4


@pytest.fixture
def settings(settings: Settings) -> Settings:
    policy = settings.policy.model_copy(update={"shadow_frames": FRAMES})
    return settings.model_copy(update={"policy": policy})


def events(service: Service, kind: str) -> list[Mapping[str, object]]:
    return details(service.engine.ledger, kind)


def on_trial(service: Service) -> Trial:
    """Worn parts are confirmed as good; what they teach stands trial."""
    for number in (600, 601, 602):
        judge(service, f"g{number}", number)
        answer(service, f"g{number}", "good")
    trial = learn(service)
    assert isinstance(trial, Trial)
    return trial


def disagreeing(service: Service) -> list[str]:
    """Frames that the head flags, and of these the ones that the proposal passes."""
    on_trial(service)
    assert service.engine.active is not None
    strict = replace(service.engine.active.threshold, value=0.0)
    service.engine.active = replace(
        service.engine.active, scorer=replace(service.engine.active.scorer, threshold=strict)
    )
    names = [f"worn{i}" for i in range(FRAMES)]
    assert [judge(service, name, 600 + i).verdict for i, name in enumerate(names)] == ["NG"] * FRAMES
    differ = [str(event["frame_id"]) for event in events(service, "trial_disagrees")]
    assert differ
    return differ


def test_the_head_judges_until_the_trial_is_over(service: Service) -> None:
    trial = on_trial(service)
    frames = [judge(service, f"worn{i}", 620 + i) for i in range(FRAMES - 1)]
    assert {judged.version for judged in frames} == {1}
    assert all(judged.trial in {"OK", "NG"} for judged in frames)
    assert learn(service) is trial, "it has not seen enough"
    assert service.status()["trial"] == {"frames": 3, "of": 4, "disagreed": len(events(service, "trial_disagrees"))}
    judge(service, "worn3", 623)
    version = learn(service)
    assert isinstance(version, Version)
    assert version.gate["trial"]["frames"] == FRAMES
    assert (version.feedback_through, version.number, version.cause, service.status()["trial"]) == (3, 2, "test", None)
    after = judge(service, "after", 624)
    assert (after.version, after.trial) == (2, None)


def test_frames_that_are_judged_differently_are_asked_about(service: Service) -> None:
    for name in disagreeing(service):
        row = service.engine.ledger.frame(name)
        assert row is not None
        assert (row.asked, row.verdict, row.trial) == (1, "NG", "OK")


def test_a_proposal_that_would_pass_a_defect_is_held_and_told(service: Service) -> None:
    first, *others = disagreeing(service)
    answer(service, first, "defect")
    for name in others:
        answer(service, name, "good")
    hold = learn(service)
    assert isinstance(hold, Hold)
    assert first in hold.reason
    assert (service.store.newest_number(), service.engine.trial) == (1, None)
    assert [event["reason"] for event in events(service, "hold")] == [hold.reason]
    row = rows(service.engine.ledger, "SELECT reason, version FROM lessons ORDER BY id DESC")[0]
    assert (row["version"], row["reason"]) == (None, hold.reason)


def test_a_trial_is_looked_after_however_little_was_confirmed_since(service: Service) -> None:
    judge(service, "g600", 600)
    answer(service, "g600", "good")
    service.recalibrate()
    assert service.engine.trial is not None
    for i in range(FRAMES):
        judge(service, f"worn{i}", 620 + i)
    service.lesson_if_due()
    assert service.engine.trial is None


def test_what_people_take_back_during_a_trial_is_not_published(service: Service) -> None:
    on_trial(service)
    answer(service, "g601", "defect")
    for i in range(FRAMES):
        judge(service, f"worn{i}", 620 + i)
    assert isinstance(learn(service), Hold)
    assert "changed their minds" in str(events(service, "trial_dropped")[0]["reason"])
    again = learn(service)
    assert isinstance(again, Trial), "its answers are due again"
    assert again.ticket.through == 4
    assert again.approved.proposal.snapshot.confirmed_defects.samples == ("g601",)


def test_nothing_is_published_while_the_scene_is_beyond_trust(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = on_trial(service)
    for i in range(FRAMES):
        judge(service, f"worn{i}", 620 + i)
    monkeypatch.setattr(service.engine, "drift", lambda: replace(CALM, trust=Trust.UNTRUSTED))
    assert learn(service) is trial


def test_a_frame_that_the_head_could_not_judge_says_nothing(service: Service) -> None:
    trial = on_trial(service)
    assert service.engine.judge(frame("broken", b"no image")).trial is None
    features = trial.approved.proposal.snapshot.calibration_set.features[0]
    assert trial_verdict(trial, features, Verdict.UNKNOWN, 0) is None
    assert trial_verdict(None, features, Verdict.OK, 0) is None


def test_a_proposal_that_fails_to_score_costs_no_verdict(service: Service) -> None:
    trial = on_trial(service)
    contents = replace(trial.approved.proposal.snapshot, detector=None)  # type: ignore[arg-type]  # broken on purpose
    broken = replace(trial.approved, proposal=replace(trial.approved.proposal, snapshot=contents))
    service.engine.trial = replace(trial, approved=broken)
    row = judge(service, "worn", 620)
    assert (row.verdict in {"OK", "NG"}, row.trial) == (True, None)


def test_another_version_ends_a_trial_unheard(service: Service) -> None:
    on_trial(service)
    roll_back(service.store, service.engine.ledger, 1, "engineer", NOW_MS)
    service.notice_versions()
    assert service.engine.trial is None
    assert "version 2" in str(events(service, "trial_dropped")[0]["reason"])
    assert isinstance(learn(service), Trial), "its answers are due for the new head"


def test_a_full_disk_keeps_the_trial(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = on_trial(service)
    for i in range(FRAMES):
        judge(service, f"worn{i}", 620 + i)

    def full(*_: object, **__: object) -> Version:
        raise StoreError(expected="room", came="none", do="free some")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "commit", full)
        with pytest.raises(StoreError):
            learn(service)
    assert service.engine.trial is trial
    assert isinstance(learn(service), Version)


def test_a_restart_goes_on_with_the_trial(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams
) -> None:
    """Answers given meanwhile, and frames already seen, change neither the proposal nor the count."""
    first = on_trial(service).approved.proposal
    judge(service, "worn0", 620)
    answer(service, "worn0", "good")
    again = make_service(settings, extractor, wire)
    again.start()
    trial = again.engine.trial
    assert trial is not None
    assert trial.ticket.through == 3
    assert trial.approved.proposal.threshold == first.threshold
    assert arrays_of(trial.approved.proposal.snapshot) == arrays_of(first.snapshot)
    for i in range(1, FRAMES):
        judge(again, f"worn{i}", 620 + i)
    again.lesson_if_due()
    head = again.store.head()
    assert head is not None
    assert (head.number, head.feedback_through, head.gate["trial"]["frames"]) == (2, 3, FRAMES)


def passed(name: str) -> Disagreement:
    return Disagreement(name, Verdict.NG, Verdict.OK)


def flagged(name: str) -> Disagreement:
    return Disagreement(name, Verdict.OK, Verdict.NG)


def test_one_confirmed_defect_outweighs_any_number_of_good_parts() -> None:
    disagreed = (*(passed(f"p{i}") for i in range(9)), flagged("f0"), flagged("f1"), flagged("f2"))
    goods = {f"p{i}": "good" for i in range(9)}
    assert weigh(50, disagreed, {}) == ShadowReport(50, 12, 0)
    assert weigh(50, disagreed, goods) == ShadowReport(50, 12, 9)
    assert isinstance(weigh(50, disagreed, goods | {"p3": "defect"}), Hold)
    assert isinstance(weigh(50, disagreed, {"f0": "good"}), Hold)
    assert weigh(50, disagreed, {"f0": "good", "f1": "defect"}) == ShadowReport(50, 12, 2)
    assert isinstance(weigh(50, disagreed, {"f0": "good", "f1": "defect", "f2": "good"}), Hold)
