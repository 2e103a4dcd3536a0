"""The setup of a version from a folder of good parts: uploads, a draft, checks of it, and going live."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daemon.console.draft_summary import shares_of_passed, summary
from daemon.console.images import PICTURE_PX, encoded
from daemon.console.jobs import Jobs, Work
from daemon.console.line import LineView
from daemon.console.uploads import Uploads
from daemon.evaluation.installed import need_scikit_learn
from daemon.inference.sight import AS_IT_IS
from daemon.intake.decode import LEAST_PX, ImageRejected, path_text, pictured, read, read_allowed, shrunk
from daemon.intake.onto_canvas import Decoded, decode_onto
from daemon.intake.positioning import as_it_lay, placement_record, region_as_it_lies
from daemon.languages.speaking import said
from daemon.learning import teach as teaching
from daemon.learning.survey import apart
from daemon.reporting.geometry_text import geometry_text
from daemon.reporting.heatmap import overlay
from drift.monitor import CALM
from memory.errors import DriftlineError
from memory.features import Image, colours
from memory.learners import learner_of
from memory.region import Region
from policies.setup_check import unlike_line
from policies.verdict import decide

ODD_PX = 480


class NothingTaught(DriftlineError):
    """There is no draft to check or to publish."""


@dataclass(frozen=True)
class Taught:
    """What a draft was taught from: images, the smallest defect to find, and which images it was taught without."""

    paths: tuple[Path, ...]
    smallest_defect_px: float | None
    without: tuple[str, ...]


class DraftWorkflow:
    """The workflow of a line's one draft: a version that was taught and does not judge yet."""

    def __init__(self, line: LineView, jobs: Jobs) -> None:
        self.uploads = Uploads(line.settings.state_dir / "uploads", line.settings.source)
        self._line = line
        self._jobs = jobs
        self._draft: teaching.Draft | None = None
        self._batch = ""
        self._smallest_defect_px: float | None = None
        self._without: tuple[str, ...] = ()
        self._unlike_line = ""
        self._sheets: dict[tuple[str, str], str] = {}
        self._publishing = threading.Lock()

    def summary(self) -> dict[str, Any] | None:
        """The draft as pages show it; None without one."""
        draft = self._draft
        if draft is None:
            return None
        words = said(geometry_text(draft.sight.canvas, self._line.settings.source.bits))
        sent = {"batch": self._batch, "smallest_defect_px": self._smallest_defect_px, "without": self._without}
        return summary(draft) | sent | {"geometry_text": words, "unlike_line": said(self._unlike_line)}

    def draft_id(self) -> str | None:
        """The draft's id; None without one."""
        return self._draft.id if self._draft else None

    def taught(self) -> Taught:
        """What the draft was taught from. Raises NothingTaught without one, and Superseded where other images were
        begun since."""
        self.current()
        return Taught(tuple(self._paths(self._batch)), self._smallest_defect_px, self._without)

    def picture(self, batch: str) -> Image:
        """The first image of a batch that was not refused, upright (H, W, 3) u8, to draw a region on. Raises
        Superseded, and NothingTaught where there is none."""
        draft = self._draft
        bits = draft.sight.canvas.geometry.bits if draft else None
        return pictured(self._shown(batch).read_bytes(), PICTURE_PX, self._line.settings.source, bits)

    def picture_px(self, batch: str) -> tuple[int, int]:
        """The true size (height, width) of the image that `picture` shows; it raises the same."""
        source = self._line.settings.source
        return read(self._shown(batch).read_bytes(), source.max_pixels, LEAST_PX, source.page).size_px

    def odd_part(self, draft_id: str, rank: int) -> Image | None:
        """The draft's calibration part of this rank, the oddest being 0, with what is odd about it: its anomaly map as
        if it had not been taught. None for another draft and where there is none or its file has gone."""
        draft = self._draft
        if draft is None or draft.id != draft_id or rank >= len(draft.taught_set.ranked):
            return None
        name = draft.taught_set.ranked[rank][0]
        calibration_set, source = draft.snapshot.calibration_set, self._line.settings.source
        view = calibration_set.views[calibration_set.samples.index(name)]
        path = draft.calibrating[name].path
        try:
            data = read_allowed(path, (path.parent,), source.max_bytes)
            seen = decode_onto(data, draft.sight.canvas.geometry, source)
            image = colours(draft.sight.lit(draft.sight.place(seen, source), AS_IT_IS))
        except ImageRejected:
            return None
        anomaly = draft.snapshot.detector.score_without(view, name).map
        return shrunk(overlay(image, anomaly, draft.threshold, draft.sight.canvas.inside), ODD_PX)

    def teach(
        self,
        batch: str,
        region: Region | None,
        smallest_defect_px: float | None,
        without: Sequence[str],
        detector: str | None,
        who: str,
        then: Callable[[Work], None],
    ) -> None:
        """Start to teach a draft from a batch of uploaded images, in this region, or in that of the version before, and
        for defects of this side, or as `settings.scene` says, `without` images of these names, and with this kind of
        detector, or that of the settings. Raises Busy, Superseded where another batch was begun since, UnknownDetector,
        and NothingTaught where it is empty. The same work does `then` what is to be done with each new draft."""
        paths = self._paths(batch)
        if detector is not None:
            learner_of(detector)

        def run(work: Work) -> None:
            with self._publishing:
                self._draft = None
            engine, store = self._line.engines.reference(), self._line.state.store
            draft = teaching.draft(paths, engine, store, work.track, region, smallest_defect_px, without, detector)
            self._batch, self._smallest_defect_px, self._without = batch, smallest_defect_px, tuple(without)
            self._unlike_line = unlike_line(shares_of_passed(self._line, draft, work.track))
            self._draft = draft
            then(work)

        self._jobs.start("teach", who, run)

    def advise(self, batch: str, smallest_defect_px: float | None, without: Sequence[str], who: str) -> None:
        """Start to try each kind of detector on the images of a batch that can be taught, `without` those of these
        names, with drawn defects; the work has `found` how each did, and `sheet` shows it. Raises Busy, Superseded,
        NothingTaught, TeachError and, where scikit-learn is not installed, ConfigError."""
        need_scikit_learn()
        kept, _ = apart(self._paths(batch), without)
        refused = self._draft.refused if self._draft and self._batch == batch else {}
        paths, settings = [path for path in kept if path_text(path) not in refused], self._line.settings
        scene = settings.scene.for_defects(smallest_defect_px)

        def run(work: Work) -> None:
            from daemon.evaluation import advice, contact_sheet  # scikit-learn comes with it, which not all install

            with TemporaryDirectory(dir=settings.state_dir, prefix=teaching.TEACHING) as folder:
                backbone, own = self._line.engines.backbone(), settings.model_copy(update={"scene": scene})
                best, found = advice.advise(paths, [], own, backbone, Path(folder), work.track)
                self._sheets = {
                    (batch, kind): contact_sheet.render(
                        said(f"Drawn defects and good parts, by {kind}"), seen, own.source
                    )
                    for kind, (_, seen) in found.items()
                    if seen
                }
            work.found = {
                "batch": batch,
                "advised": best.detector,
                "colours_alone": settings.source.depth_page is not None,
                "candidates": [advice.told(candidate) for candidate, _ in found.values()],
            }

        self._jobs.start("advise", who, run)

    def sheet(self, batch: str, detector: str) -> str | None:
        """The contact sheet (HTML) of a kind of detector that was tried on a batch; None where it was not, or others
        were since."""
        return self._sheets.get((batch, detector))

    def decode(self, data: bytes) -> Decoded:
        """The image as the draft takes it. Raises ImageRejected, and NothingTaught without a draft."""
        return decode_onto(data, self.current().sight.canvas.geometry, self._line.settings.source)

    def check(self, seen: Decoded) -> dict[str, Any]:
        """The draft's verdict on an image, with its anomaly map laid over as a JPEG in base64.

        Raises NothingTaught without a draft, and ImageRejected as `Sight.place` does.
        """
        draft = self.current()
        backbone = self._line.engines.backbone()
        placed = draft.sight.place(seen, self._line.settings.source)
        image = draft.sight.lit(placed, AS_IT_IS)
        score = draft.snapshot.detector.score(draft.sight.view(image, backbone))
        decision = decide(score.value, draft.threshold, CALM)
        lying = as_it_lay(score.map, placed.placement, backbone.shapes.stride_px)
        shown = shrunk(colours(seen.image), PICTURE_PX)
        record = placement_record(placed.placement, image.shape) if placed.placement else None
        inside = region_as_it_lies(draft.region, record, shown.shape[:2])
        jpeg = encoded(overlay(shown, lying, draft.threshold, inside))
        return {
            "verdict": decision.verdict,
            "score": score.value,
            "threshold": draft.threshold.value,
            "picture": base64.b64encode(jpeg).decode(),
        }

    def go_live(self, draft_id: str, who: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Publish the draft of this id, with a `record` of how it was checked in its manifest. Raises NothingTaught
        where there is another or none, StaleParent where another version came first since."""
        with self._publishing:
            draft = self.current()
            if draft.id != draft_id:
                raise NothingTaught(
                    expected="the draft that you have checked",
                    came="another one, taught since",
                    do="look at it, check it, and go live then",
                )
            draft = replace(draft, gate={**draft.gate, **record})
            taught = teaching.publish(draft, self._line.engines.reference(), self._line.state.store, who)
            self._draft = None
        return {"version": taught.version.number}

    def _shown(self, batch: str) -> Path:
        draft = self._draft
        refused = draft.refused if draft else {}
        path = next((each for each in self._paths(batch) if path_text(each) not in refused), None)
        if path is None:
            raise NothingTaught(expected="an image that was taught", came="none", do="choose another folder")
        return path

    def _paths(self, batch: str) -> list[Path]:
        paths = self.uploads.paths(batch)
        if not paths:
            raise NothingTaught(expected="images of good parts", came="none", do="choose a folder first")
        return paths

    def current(self) -> teaching.Draft:
        """The draft. Raises NothingTaught without one."""
        if self._draft is None:
            raise NothingTaught(expected="a draft", came="none", do="teach good parts first")
        return self._draft
