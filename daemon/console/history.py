"""What the console tells of versions, the way back to one, and the threshold that is in force."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from daemon import clock
from daemon.console.line import LineView
from daemon.learning import operating_point
from daemon.learning.rollback import roll_back
from daemon.ledger.kept import Pictures
from memory.features import Image
from memory.version import Version
from policies.outlook import choices
from policies.threshold import Threshold

SHIFT_MS = 8 * 3_600_000
SHOWN = ("number", "parent", "cause", "who", "created_at", "bank_size", "feedback_through", "restores")


@dataclass
class History:
    """A line's versions."""

    line: LineView

    def listed(self) -> list[dict[str, Any]]:
        """All versions, newest first, each as a heading."""
        return [heading(version) for version in reversed(self.line.opened.store.history())]

    def manifest(self, number: int) -> dict[str, Any]:
        """One version's whole manifest. Raises StoreError where there is none."""
        held: dict[str, Any] = json.loads(self.line.opened.store.version(number).encode())
        return held

    def picture(self, number: int, kind: str, at: int) -> Image | None:
        """The image of the sample that a version has in this place of its lists, as the backbone saw it; None where it
        is gone or there is no such place. Raises StoreError where there is no such version."""
        samples = samples_of(self.line.opened.store.version(number)).get(kind, ())
        settings, opened = self.line.settings, self.line.opened
        look = Pictures(opened.ledger, opened.kept, settings.extractor.input_px, settings.source.max_pixels)
        return look.sample(samples[at]) if at < len(samples) else None

    def rollback(self, number: int, who: str) -> dict[str, Any]:
        """A new version with an old one's snapshot; the service takes it up by itself. Raises StoreError."""
        opened = self.line.opened
        made = roll_back(opened.store, opened.ledger, number, who, clock.unix_ms())
        return {"version": made.number, "restores": number, "missed": list(made.gate["missed"])}

    def outlook(self) -> dict[str, Any]:
        """The threshold in force, the scores of good parts and confirmed defects, and what every other threshold that
        the good parts allow would mean. Raises StoreError before anything was taught."""
        head = self.line.model()
        threshold, snapshot = Threshold.of(head.version.threshold), head.snapshot
        defects = [snapshot.detector.score_in(d.view, d.mask).value for d in snapshot.confirmed_defects.defects]
        ledger, since_ms = self.line.opened.ledger, clock.unix_ms() - SHIFT_MS
        seen = ledger.one("SELECT count(*) AS n FROM line_frames WHERE score IS NOT NULL AND judged_ms > ?", since_ms)
        given = choices(threshold.scores, defects)
        return {
            "version": head.version.number,
            "value": threshold.value,
            "rate": threshold.rate,
            "goods": list(threshold.scores),
            "defects": dict(zip(snapshot.confirmed_defects.samples, defects, strict=True)),
            "choices": [asdict(choice) for choice in given],
            "parts_in_8_hours": seen["n"] if seen else 0,
        }

    def judge_at(self, wanted: float, who: str) -> dict[str, Any]:
        """A version with the threshold of this false-reject rate. Raises RateRefused where that would miss a confirmed
        defect, StoreError, StaleParent."""
        opened, configured = self.line.opened, self.line.settings.policy.false_reject_rate
        head = self.line.model()
        made = operating_point.change(head, opened.store, opened.ledger, wanted, configured, who, clock.unix_ms())
        return {"version": made.number, "threshold": made.threshold["value"], "rate": made.threshold["rate"]}


def heading(version: Version) -> dict[str, Any]:
    """A version without its lists and blobs."""
    return {name: getattr(version, name) for name in SHOWN} | {
        "threshold": version.threshold["value"],
        "rate": version.threshold["rate"],
        "added": len(version.added),
        "removed": len(version.removed),
        "refused": len(version.refused),
        "sha256": version.sha256,
    }


def samples_of(version: Version) -> dict[str, tuple[str, ...]]:
    """The samples that a version names, by what became of them."""
    return {"added": version.added, "removed": version.removed, "refused": version.refused, "waiting": version.waiting}
