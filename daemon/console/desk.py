"""What takes a backbone: an image scored, a version taught and checked before it judges, two versions compared."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from daemon import build
from daemon.console.line import LineView, encoded
from daemon.console.uploads import Uploads
from daemon.inference.engine import Engine
from daemon.intake.decode import decode
from daemon.learning import compare
from daemon.learning import teach as teaching
from daemon.reporting.heatmap import overlay
from drift.monitor import CALM
from memory.errors import DriftlineError
from memory.features import Image, View
from policies.verdict import decide

if TYPE_CHECKING:
    from memory.extract import Extractor

COMPARED_FRAMES = 100
STOP_S = 20.0
LIGHT_S = 5.0
T = TypeVar("T")
log = structlog.get_logger()


class Busy(DriftlineError):
    """One piece of work at a time: somebody else's is under way."""


class NothingTaught(DriftlineError):
    """There is no draft to check or to publish."""


class Stopped(DriftlineError):
    """The console ends, and its work with it; nothing was changed."""


@dataclass
class Work:
    """A piece of work, whose it is, and how far it has come."""

    what: str
    who: str
    step: str = ""
    done: int = 0
    of: int = 0
    ended: bool = False
    error: str | None = None
    found: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False

    def track(self, items: Sequence[T], step: str) -> Iterator[T]:
        """Walk through `items` and tell how far it has come."""
        self.step, self.done, self.of = step, 0, len(items)
        for item in items:
            if self.stopped:
                raise Stopped(expected="time to finish", came="the console is being stopped", do="begin again")
            yield item
            self.done += 1


class Desk:
    """The console's own backbone, loaded when it is first needed. The service judges on without noticing."""

    def __init__(self, line: LineView) -> None:
        self.line = line
        self.uploads = Uploads(line.settings.state_dir / "uploads", line.settings.source.max_pixels)
        self._extractor: Extractor | None = None
        self._scorer: Engine | None = None
        self._lit_s = 0.0
        self._draft: teaching.Draft | None = None
        self._work: Work | None = None
        self._thread: threading.Thread | None = None
        self._starting, self._loading = threading.Lock(), threading.Lock()

    def told(self) -> dict[str, Any]:
        """The work under way or last done, the draft if there is one, and the version that judges."""
        head = self.line.head()
        return {
            "work": asdict(self._work) if self._work else None,
            "draft": _summary(self._draft) if self._draft else None,
            "head": head.number if head else None,
        }

    def decoded(self, data: bytes) -> Image:
        """An image as the backbone takes it. Raises ImageRejected for what is no image."""
        return decode(data, self.line.settings.extractor.input_px, self.line.settings.source.max_pixels)

    def score(self, image: Image) -> dict[str, Any]:
        """What the newest version says of an image in today's light; nothing is recorded.

        Not to be called by two at once, which `Parts.looking` sees to. Raises StoreError before anything was taught.
        """
        head = self.line.model()
        if self._scorer is None:
            self._scorer = build.engine(self.line.settings, self.line.opened, self._backbone())
        engine = self._scorer
        if engine.active is None or engine.active.model.version.sha256 != head.version.sha256:
            engine.activate(head)
        if time.monotonic() - self._lit_s > LIGHT_S:
            engine.rebuild_monitor()  # the service alone sees frames: what it has learned of the light is in the ledger
            self._lit_s = time.monotonic()
        active = engine.active
        assert active is not None  # noqa: S101  # activate set it
        found = engine.score_image(image, active)
        said = decide(found.score.value, active.current_threshold, engine.drift())
        return {
            "verdict": said.verdict,
            "reason": said.reason,
            "score": found.score.value,
            "threshold": active.current_threshold.value,
            "p_value": said.p_value,
            "version": head.version.number,
            "map": found.score.map.tolist(),
        }

    def teach(self, batch: str, who: str) -> None:
        """Begin to make a draft of a batch of uploaded images. Raises Busy, Superseded where another was begun since,
        and NothingTaught where it is empty."""
        paths = self.uploads.paths(batch)
        if not paths:
            raise NothingTaught(expected="images of good parts", came="none", do="choose a folder first")

        def run(work: Work) -> None:
            self._draft = None
            engine = self._prover()
            self._draft = teaching.draft(paths, engine, self.line.opened.store, work.track)

        self._start("teach", who, run)

    def check(self, image: Image) -> dict[str, Any]:
        """What the draft would say of an image, with its anomaly map laid over as a JPEG in base64.

        Raises NothingTaught without a draft.
        """
        draft = self._drafted()
        score = draft.snapshot.detector.score(View(self._backbone()(image), image))
        said = decide(score.value, draft.threshold, CALM)
        jpeg = encoded(overlay(image, score.map, draft.threshold))
        return {
            "verdict": said.verdict,
            "score": score.value,
            "threshold": draft.threshold.value,
            "picture": base64.b64encode(jpeg).decode(),
        }

    def go_live(self, draft: str, who: str) -> dict[str, Any]:
        """Publish the draft of this id. Raises NothingTaught where there is another or none, StaleParent where another
        version came first since."""
        with self._starting:
            if self._drafted().id != draft:
                raise NothingTaught(
                    expected="the draft that you have checked",
                    came="another one, taught since",
                    do="look at it, check it, and go live then",
                )
            made = teaching.publish(self._drafted(), self._prover(), self.line.opened.store, who)
            self._draft = None
        return {"version": made.version.number}

    def compare(self, number: int, who: str) -> None:
        """Begin to judge the newest kept frames by the version that judges and by this one. Raises Busy, StoreError."""
        store = self.line.opened.store
        before, after = self.line.model(), store.load(store.version(number))

        def run(work: Work) -> None:
            work.found = {"before": before.version.number, "after": number}
            judged, differ = compare.changed(self._prover(), before, after, COMPARED_FRAMES, work.track)
            work.found |= {"judged": judged, "differ": differ}

        self._start("compare", who, run)

    def _start(self, what: str, who: str, run: Callable[[Work], None]) -> None:
        with self._starting:
            if self._work and not self._work.ended:
                raise Busy(
                    expected="one piece of work at a time",
                    came=f"{self._work.who} is at it: {self._work.what}",
                    do="wait until it has ended",
                )
            self._work = work = Work(what, who)

        def finish() -> None:
            try:
                run(work)
            except DriftlineError as error:
                work.error = str(error)
            except Exception as error:  # the console goes on; people see what went wrong
                log.exception("work failed", what=what)
                work.error = f"{type(error).__name__}: {error}"
            finally:
                work.ended = True

        self._thread = threading.Thread(target=finish, name=what, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the work under way end at its next step, and wait for that: torch's threads must not outlive ours."""
        if self._work and self._thread:
            self._work.stopped = True
            self._thread.join(STOP_S)

    def _drafted(self) -> teaching.Draft:
        if self._draft is None:
            raise NothingTaught(expected="a draft", came="none", do="teach good parts first")
        return self._draft

    def _prover(self) -> Engine:
        return build.reference_engine(self.line.settings, self.line.opened, self._backbone())

    def _backbone(self) -> Extractor:
        with self._loading:
            if self._extractor is None:
                self._extractor = build.extractor(self.line.settings)
            return self._extractor


def _summary(draft: teaching.Draft) -> dict[str, Any]:
    threshold = draft.threshold
    return {
        "id": draft.id,
        "parts": len(draft.names),
        "refused": draft.refused,
        "patches": draft.snapshot.detector.size,
        "threshold": threshold.value,
        "promise": replace(threshold, pivot_part=Path(threshold.pivot_part).name).promise,
        "follows": draft.base.version.number if draft.base else None,
    }
