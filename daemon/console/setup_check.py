"""The check of a draft before it goes live: known defects, what is missed, and what would find it."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daemon.console.draft_summary import share_of
from daemon.console.drafts import DraftWorkflow
from daemon.console.jobs import Jobs, Work
from daemon.console.line import LineView
from daemon.console.uploads import Uploads
from daemon.intake.onto_canvas import Decoded
from daemon.languages.speaking import said
from daemon.learning import teach as teaching
from memory.errors import DriftlineError
from memory.geometry import defect_px_at
from policies.setup_check import SetupCheck, advice, other_rates

KINDS = ("patch-bank", "padim", "simplenet")
FINER = 2.0


class NotMeant(DriftlineError):
    """A draft that misses too many known defects was to go live, and nobody said that this is meant."""


class NotChecked(NotMeant):
    """The check has not ended."""


class SetupChecks:
    """Known defects, as they were sent, and what the draft says of them."""

    def __init__(self, line: LineView, jobs: Jobs, drafts: DraftWorkflow) -> None:
        self._line = line
        self._jobs = jobs
        self._drafts = drafts
        self._root = line.settings.state_dir / "known-defects"
        self._known = Uploads(self._root, line.settings.source)
        self._batch = ""
        self._of = ""
        self._wanted = self._unread = 0
        self._shares: list[float] = []

    def begin(self, wanted: int) -> str:
        """Forget what was checked: so many other known defects come, under the id that this returns."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._batch, self._of, self._shares = self._known.begin(), "", []
        self._wanted, self._unread = wanted, 0
        return self._batch

    def unread(self, batch: str) -> None:
        """Count a known defect of this batch that is no image that the draft can take."""
        self._unread += batch == self._batch

    def add(self, batch: str, name: str, data: bytes) -> None:
        """Keep a known defect, so that other drafts can be tried on it. Raises ImageRejected, UploadRefused, and
        Superseded where others were begun since."""
        self._known.add(batch, name, data)

    def check(self, seen: Decoded) -> dict[str, Any]:
        """The draft's verdict on a known defect, which counts. Raises as `DraftWorkflow.check` does."""
        said = self._drafts.check(seen)
        self._count(self._drafts.current().id, said["score"] / said["threshold"])
        return said | {"check": self.summary()}

    def again(self, work: Work) -> None:
        """Check the known defects that were sent before on the draft that was taught now."""
        draft = self._drafts.current()
        self._of = draft.id
        paths = self._known.paths(self._batch) if self._batch else []
        self._wanted = len(paths)
        self._shares, _ = self._tried(draft, work.track(paths, "known defects"))
        self._unread = len(paths) - len(self._shares)

    def _count(self, draft: str, share: float) -> None:
        if self._of != draft:
            self._of, self._shares = draft, []
        self._shares.append(share)

    def summary(self) -> dict[str, Any] | None:
        """What came of the check of the draft so far; None where nothing was checked."""
        checked = self._checked()
        if checked is None:
            return None
        draft = self._drafts.current()
        threshold = draft.threshold
        scores = [share * threshold.value for share in checked.shares]
        rates = other_rates(threshold.scores, scores, threshold.rate)
        return {
            "found": checked.found.of,
            "of": checked.found.all,
            "bad": checked.bad,
            "words": said(f"{checked.words}. {self._unread} could not be read" if self._unread else checked.words),
            "left": self._left,
            "advice": [said(one) for one in advice(checked, len(draft.names), not draft.region.everything)],
            "rates": [{"rate": one.rate, "found": one.found} for one in rates],
        }

    def record(self, *, meant: bool) -> dict[str, Any]:
        """What a version's manifest tells of its check. Raises NotMeant for a bad one that is not `meant`, and while
        known defects are still to come."""
        checked = self._checked()
        if self._left and not meant:
            raise NotChecked(
                expected="a check that has ended",
                came=f"{self._left} of {self._wanted} known defects are not checked yet",
                do="wait for them, or go live with meant=true if you mean it",
            )
        if checked is None:
            return {}
        if checked.bad and not meant:
            raise NotMeant(
                expected="a draft that finds the known defects",
                came=checked.words,
                do="try what would find more, or go live with meant=true if you mean it",
            )
        return {"checked": {"found": checked.found.of, "of": checked.found.all, "meant": checked.bad}}

    def remedies(self, who: str) -> None:
        """Begin to teach the draft's parts in other ways, and try each on the known defects; the work has `found` how
        many each finds, and at what cost. Raises Busy, Superseded, NothingTaught."""
        draft, taught = self._drafts.current(), self._drafts.taught()
        known = self._known.paths(self._batch)
        engine, store = self._line.engines.reference(), self._line.state.store

        def run(work: Work) -> None:
            work.found = {"draft": draft.id, "rows": []}
            own = draft.snapshot.detector.kind
            ways: list[dict[str, Any]] = [{"what": "as it was taught", "detector": own, "own": True}]
            scale, stride_px = draft.sight.canvas.geometry.scale, engine.extractor.shapes.stride_px
            if scale is not None and scale < 1:
                finer = defect_px_at(min(FINER * scale, 1.0), stride_px)
                ways.append({"what": f"finer, for defects of {finer:.0f} px", "detector": own, "smallest_px": finer})
            ways += [{"what": f"by {kind}", "detector": kind} for kind in KINDS if kind != own]
            for way in ways:
                row = {name: way.get(name) for name in ("detector", "smallest_px", "own")} | {"what": said(way["what"])}
                smallest_px = way.get("smallest_px", taught.smallest_defect_px)
                try:
                    other = draft
                    if "own" not in way:
                        region, without, kind = draft.region, taught.without, way["detector"]
                        paths = list(taught.paths)
                        other = teaching.draft(paths, engine, store, work.track, region, smallest_px, without, kind)
                    images = work.track(known, f"{way['what']}: known defects")
                    work.found["rows"].append(row | self._tried(other, images)[1])
                except DriftlineError as error:
                    work.found["rows"].append(row | {"refused": said(error.came)})

        self._jobs.start("remedies", who, run)

    @property
    def _left(self) -> int:
        """How many known defects that were announced are not checked yet, nor unreadable."""
        checked = self._checked()
        return max(self._wanted - self._unread - len(checked.shares if checked else ()), 0)

    def _tried(self, draft: teaching.Draft, known: Iterable[Path]) -> tuple[list[float], dict[str, Any]]:
        """The draft's scores, in multiples of its threshold, of those known defects that it can take, and what that
        found and cost."""
        _ = self._line.engines.backbone().network  # loaded before the clock runs
        shares, took_ms = [], []
        for path in known:
            began = time.perf_counter()
            share = share_of(self._line, draft, path.read_bytes())
            if share is not None:  # else it was told when it was sent
                shares.append(share)
                took_ms.append(1000 * (time.perf_counter() - began))
        found = SetupCheck(tuple(shares)).found
        cost = {"rate": draft.threshold.guaranteed_rate, "frame_ms": statistics.median(took_ms) if took_ms else 0.0}
        return shares, {"found": found.of, "of": found.all, **cost}

    def _checked(self) -> SetupCheck | None:
        if not self._shares or self._drafts.draft_id() != self._of:
            return None
        return SetupCheck(tuple(self._shares))
