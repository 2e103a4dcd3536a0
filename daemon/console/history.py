"""Versions on the console: their manifests, comparison, rollback, and the threshold."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from daemon import clock
from daemon.console.jobs import Jobs, Work
from daemon.console.line import LineView
from daemon.intake.positioning import template_of
from daemon.learning import compare, operating_point
from daemon.learning.rollback import roll_back
from daemon.ledger.answers import drawn_defects, open_drawn
from daemon.ledger.frame_list import count_scored_since
from daemon.ledger.kept import Pictures
from daemon.ledger.lesson_outcomes import HeldLesson, answers_in, held_lessons, outcome
from daemon.ledger.provenance import taught_alike
from daemon.ledger.records import Span
from memory.errors import StoreError
from memory.features import Image, colours
from memory.geometry import Geometry
from memory.version import Version
from policies.outlook import choices, in_a_shift
from policies.threshold import Threshold

COMPARED_FRAMES = 100
MOST_HELD = 20
SHIFT_MS = 8 * 3_600_000
HEADING = ("number", "parent", "cause", "who", "created_at", "bank_size", "feedback_through", "restores")


@dataclass(frozen=True)
class History:
    """A line's versions, as the console shows and changes them."""

    line: LineView
    jobs: Jobs
    _defects: dict[str, tuple[str, ...] | None] = field(default_factory=dict)  # by blob, which never changes

    def listed(self) -> list[dict[str, Any]]:
        """The headings of all versions, newest first, each with what it learned in words."""
        versions = self.line.state.store.history()
        return [heading(one) | {"learned": learned(one, len(self.remembered(one)))} for one in reversed(versions)]

    def remembered(self, version: Version) -> tuple[str, ...]:
        """The confirmed defects that a version holds and the one that it was made from does not; none where either can
        be read no more."""
        if version.cause == "rollback":  # it holds the newest ones too
            return ()
        known: tuple[str, ...] | None = ()
        if version.parent is not None:
            with suppress(StoreError):
                known = self._defects_of(self.line.state.store.version(version.parent))
        before, now = known, self._defects_of(version)
        return () if before is None or now is None else tuple(name for name in now if name not in set(before))

    def samples(self, version: Version) -> dict[str, tuple[str, ...]]:
        """The samples that a version tells of, by kind of list."""
        return {
            "remembered": self.remembered(version),
            "added": version.added,
            "removed": version.removed,
            "refused": version.refused,
            "waiting": version.waiting,
        }

    def _defects_of(self, version: Version) -> tuple[str, ...] | None:
        blob = version.blobs["replay"]
        if blob not in self._defects:
            self._defects[blob] = self.line.state.store.defects(version)
        return self._defects[blob]

    def manifest(self, number: int) -> dict[str, Any]:
        """One version's whole manifest. Raises StoreError where there is none."""
        manifest: dict[str, Any] = json.loads(self.line.state.store.version(number).encode())
        return manifest

    def lesson(self, version: Version) -> dict[str, Any]:
        """What a version was taught, as the `answers` that it was the first to learn, and the `outcomes` of the version
        that it was made from and of its own, by number."""
        ledger, parent = self.line.state.ledger, None
        with suppress(StoreError):  # its manifest may be damaged
            parent = self.line.state.store.version(version.parent) if version.parent else None
        after = parent.feedback_through if parent else version.feedback_through
        return {
            "answers": answers_in(ledger, Span(after, version.feedback_through), clock.from_iso(version.created_at)),
            "outcomes": {one.number: outcome(ledger, one) for one in (parent, version) if one},
        }

    def held(self) -> list[HeldLesson]:
        """The newest lessons that made no version, newest first."""
        return held_lessons(self.line.state.ledger, MOST_HELD)

    def picture(self, number: int, kind: str, place: int) -> Image | None:
        """The image of the sample at `place` in a version's list of this `kind` (`samples`), as the backbone saw it;
        None where it is gone or there is no such place. Raises StoreError where there is no such version."""
        settings, state = self.line.settings, self.line.state
        version = state.store.version(number)
        samples = self.samples(version).get(kind, ())
        if place >= len(samples):
            return None
        geometry = Geometry.of(version.geometry, settings.extractor.input_px)
        template = template_of(state.store.reference(version))
        pictures = Pictures(state.ledger, state.kept, geometry, settings.source, template)
        sample = pictures.sample(samples[place])
        return None if sample is None else colours(sample)

    def compare(self, number: int, who: str) -> None:
        """Begin to judge the newest kept frames by the version that judges and by this one. Raises Busy, StoreError."""
        store = self.line.state.store
        before, after = self.line.model(), store.load(store.version(number))

        def run(work: Work) -> None:
            work.found = {"before": before.version.number, "after": number}
            engine = self.line.engines.reference()
            judged, differ = compare.changed(engine, before, after, COMPARED_FRAMES, work.track)
            work.found |= {"judged": judged, "differ": differ}

        self.jobs.start("compare", who, run)

    def rollback(self, number: int, who: str) -> dict[str, Any]:
        """A new version with an old one's snapshot; the service takes it up by itself. Raises StoreError."""
        state = self.line.state
        restored = roll_back(state.store, state.ledger, number, who, clock.unix_ms())
        return {"version": restored.number, "restores": number, "missed": list(restored.gate["missed"])}

    def outlook(self) -> dict[str, Any]:
        """The threshold in force, the scores of good parts and confirmed defects, how many defects were `drawn` at
        random and of how many drawn parts that is open, and what every threshold that the good parts allow would mean.
        Raises StoreError before anything was taught."""
        head = self.line.model()
        threshold, snapshot = Threshold.of(head.version.threshold), head.snapshot
        defects = [snapshot.detector.score_in(d.view, d.mask).value for d in snapshot.confirmed_defects.defects]
        alike = taught_alike(self.line.state.store, head.version)
        drawn = list(drawn_defects(self.line.state.ledger, alike).values())
        unanswered = open_drawn(self.line.state.ledger, alike)
        parts = count_scored_since(self.line.state.ledger, clock.unix_ms() - SHIFT_MS)
        offered = choices(threshold.scores, defects, drawn, unanswered, threshold.rate)
        return {
            "version": head.version.number,
            "value": threshold.value,
            "rate": threshold.rate,
            "goods": list(threshold.scores),
            "defects": dict(zip(snapshot.confirmed_defects.samples, defects, strict=True)),
            "drawn": len(drawn),
            "open_drawn": unanswered,
            "choices": [asdict(choice) | {"in_a_shift": in_a_shift(parts, choice.false_rejects)} for choice in offered],
            "parts_in_8_hours": parts,
        }

    def judge_at(self, wanted: float, who: str) -> dict[str, Any]:
        """A version with the threshold of this false-reject rate. Raises RateRefused where that would miss a confirmed
        defect, StoreError, StaleParent."""
        state, configured = self.line.state, self.line.settings.policy.false_reject_rate
        head = self.line.model()
        changed = operating_point.change(head, state.store, state.ledger, wanted, configured, who, clock.unix_ms())
        return {"version": changed.number, "threshold": changed.threshold["value"], "rate": changed.threshold["rate"]}


def heading(version: Version) -> dict[str, Any]:
    """A version's fields without its lists and blobs."""
    return {name: getattr(version, name) for name in HEADING} | {
        "threshold": version.threshold["value"],
        "rate": version.threshold["rate"],
        "added": len(version.added),
        "removed": len(version.removed),
        "refused": len(version.refused),
        "sha256": version.sha256,
    }


def learned(version: Version, remembered: int) -> str:
    """What a version learned, in words."""
    added, removed, refused, waiting = (
        len(names) for names in (version.added, version.removed, version.refused, version.waiting)
    )
    if version.cause == "teach":
        return f"taught from {added} good {'part' if added == 1 else 'parts'}"
    parts = [
        f"remembers {remembered} {'defect' if remembered == 1 else 'defects'}" if remembered else "",
        f"{added} good {'part' if added == 1 else 'parts'} added" if added else "",
        f"{removed} {'part' if removed == 1 else 'parts'} left the bank" if removed else "",
        f"{refused} refused" if refused else "",
        f"{waiting} {'waits' if waiting == 1 else 'wait'} for a second part" if waiting else "",
    ]
    return "; ".join(filter(None, parts)) or "no part"
