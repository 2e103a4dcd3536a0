"""The provenance of a verdict: which version judged, by which good patch, and who taught that."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

from daemon.clock import iso
from daemon.intake.positioning import region_as_it_lies
from daemon.ledger.answers import answers_on
from daemon.ledger.frames import first_seen_ms, frames_named
from daemon.ledger.history import set_aside_of
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame
from memory.errors import DriftlineError, StoreError
from memory.geometry import Geometry
from memory.region import Inside, region_of
from memory.store import Store
from memory.version import Version
from policies.threshold import Threshold
from policies.verdict import Label

NEW_SCALE = {"teach", "retraining"}  # causes of versions whose scores are not those of the ones before


def threshold_behind(store: Store, frame: JudgedFrame) -> Threshold | None:
    """The threshold that a scored frame was judged by, with the scores that it was calibrated on; None where its
    version cannot be read any more, or nothing was scored."""
    version = _version_behind(store, frame)
    if version is None or frame.threshold is None:
        return None
    return replace(Threshold.of(version.threshold).for_regime(frame.regime), value=frame.threshold)


def inside_behind(store: Store, frame: JudgedFrame, size_px: tuple[int, int]) -> Inside | None:
    """Which pixels of a frame's image, drawn in this size (height, width), were judged, where its part lay; None where
    they all were, its version cannot be read any more, or none judged it."""
    version, evidence = _version_behind(store, frame), frame.evidence or {}
    return region_as_it_lies(region_of(version), evidence.get("placement"), size_px) if version else None


def bits_behind(store: Store, frame: JudgedFrame) -> int | None:
    """The intensity window of the version that judged a frame; None where it has none, cannot be read any more, or no
    version judged it."""
    version = _version_behind(store, frame)
    return version.geometry.get("bits") if version else None


def taught_alike(store: Store, version: Version) -> frozenset[int]:
    """The numbers of the versions that go back to the same teach, and training of a network, as this one: their scores
    compare."""
    roots: dict[int, int] = {}
    for each in store.history():  # oldest first
        behind = each.parent if each.restores is None else each.restores
        before = None if behind is None or each.cause in NEW_SCALE else roots.get(behind)
        roots[each.number] = each.number if before is None else before
    return frozenset(number for number, root in roots.items() if root == roots.get(version.number))


def depth_behind(store: Store, frame: JudgedFrame) -> Geometry | None:
    """The geometry of the version that judged a frame, where it saw depth; None where it did not, cannot be read any
    more, or none judged it."""
    version = _version_behind(store, frame)
    seen = Geometry.of(version.geometry, 0) if version and version.geometry else None
    return seen if seen and seen.depth else None


def _version_behind(store: Store, frame: JudgedFrame) -> Version | None:
    if frame.version is None:
        return None
    try:
        return store.version(frame.version)
    except StoreError:
        return None


def frames_of(ledger: Ledger, name: str) -> list[JudgedFrame]:
    """The frame of this id, or all frames of the part of this id, oldest first. Raises DriftlineError for neither."""
    frames = frames_named(ledger, name)
    if not frames:
        raise DriftlineError(
            expected="the id of a judged frame or part",
            came=name,
            do="check the id; retention.ledger_days says how long unanswered frames are known",
        )
    return frames


def why(store: Store, ledger: Ledger, frame: JudgedFrame) -> dict[str, Any]:
    """All that is known of one verdict, as JSON: scores, the version behind it, the good patch that decided and who
    taught it, and what became of the frame itself.
    """
    history = store.history()
    judged_by = next((v for v in history if v.number == frame.version), None)
    nearest: dict[str, Any] | None = None
    if frame.evidence is not None and frame.version is not None:
        sample = frame.evidence.get("sample")
        admitted = _admission(ledger, history, sample, frame.version) if sample is not None else None
        nearest = {**frame.evidence, "admitted": admitted}
    first_ms = first_seen_ms(ledger, frame.regime)
    aside = set_aside_of(ledger, frame.frame_id)
    return {
        "frame_id": frame.frame_id,
        "part_id": frame.part_id,
        "verdict": frame.verdict.value,
        "reason": frame.reason,
        "score": frame.score,
        "threshold": frame.threshold,
        "p_value": frame.p_value,
        "backend": frame.backend or "torch",
        "judged_at": iso(frame.judged_ms),
        "regime": iso(first_ms) if first_ms else "taught",
        "version": _heading(judged_by) if judged_by else frame.version,
        "nearest_good_patch": nearest,
        "answers": _answers(ledger, frame.frame_id),
        "learned_by": _learned_by(store, ledger, history, frame.frame_id),
        "set_aside": {"at": iso(aside.at_ms), "reason": aside.reason} if aside else None,
    }


def _learned_by(store: Store, ledger: Ledger, history: list[Version], sample: str) -> list[int]:
    """The versions that admitted a sample as good, or began to hold it as a defect. Where retention has removed the
    versions that would tell, it is the first that knew of the answer."""
    answers = answers_on(ledger, sample)
    first_answer = next((answer.id for answer in answers if answer.counts and answer.label is Label.DEFECT), None)
    learned_by = {version.number for version in history if sample in version.added}
    was_known = False
    unreadable: list[Version] = []
    for _, versions in groupby(history, key=lambda version: version.blobs["replay"]):
        first, *others = versions
        defects = store.defects(first)
        if defects is None:
            unreadable += [first, *others]
            continue
        if sample in defects and not was_known:
            knew = (v for v in unreadable if first_answer and v.feedback_through >= first_answer)
            learned_by.add(next(knew, first).number)
        was_known, unreadable = sample in defects, []
    return sorted(learned_by)


def _admission(ledger: Ledger, history: list[Version], sample: str, judged_by: int) -> dict[str, Any] | None:
    """The version that admitted a sample to the bank that judged, with its answers; rollbacks do not count, since they
    only restore."""
    admitted = [v for v in history if v.number <= judged_by and sample in v.added and v.cause != "rollback"]
    return _heading(admitted[-1]) | {"answers": _answers(ledger, sample)} if admitted else None


def _heading(version: Version) -> dict[str, Any]:
    return {"number": version.number, "cause": version.cause, "who": version.who, "created_at": version.created_at}


def _answers(ledger: Ledger, frame_id: str) -> list[dict[str, Any]]:
    return [
        {
            "operator": answer.operator,
            "verdict": answer.label.value,
            "at": iso(answer.received_ms),
            "effect": answer.effect.value,
            "revoked_by": answer.revoked_by,
        }
        for answer in answers_on(ledger, frame_id)
    ]
