"""The engine: a frame's path from score to verdict, in three steps: score, observe, record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import structlog

from daemon.inference import looks, scene_records, shadow
from daemon.inference.backend import AcceleratedBackend, Scorer
from daemon.inference.judgement import Active, Judgement, Scored, Seen
from daemon.inference.pace import Pace
from daemon.inference.questions import is_asked
from daemon.inference.quickest import QuickestBackend
from daemon.inference.sight import Sight, sight_of
from daemon.inference.unseen import Unseen, refuse_repeated
from daemon.intake.decode import ImageRejected
from daemon.intake.onto_canvas import Decoded, decode_onto
from daemon.intake.sources import Frame
from daemon.intake.waiting import Waits
from daemon.ledger.kept import Pictures
from daemon.ledger.records import JudgedFrame, NewVerdict
from daemon.ledger.state import State
from daemon.settings.load import Settings
from drift.monitor import CALM, DriftState, MeasuredFrame, Monitor
from memory.errors import ExtractorMismatch
from memory.features import View
from memory.geometry import Geometry
from memory.runtime import search_with
from memory.version import Model
from policies.ask import audited
from policies.threshold import Threshold
from policies.verdict import Decision, Verdict, decide, unknown

if TYPE_CHECKING:
    from memory.extract import Extractor

log = structlog.get_logger()


class Engine:
    """Judges frames with the active version. One thread judges; any thread may activate another version."""

    def __init__(
        self,
        settings: Settings,
        extractor: Extractor,
        opened: State,
        clock_ms: Callable[[], int],
        accelerated: AcceleratedBackend | QuickestBackend | None = None,
    ) -> None:
        self.settings = settings
        self.extractor = extractor
        self.store, self.ledger, self.kept = opened.store, opened.ledger, opened.kept
        self.clock_ms = clock_ms
        self.accelerated = accelerated
        self.active: Active | None = None
        self.trial: shadow.Trial | None = None
        self.unseen, self.pace = Unseen(), Pace()
        self._ahead = looks.Ahead(settings.source)
        self._switching = threading.Lock()

    def activate(self, model: Model) -> None:
        """Judge with `model` from the next frame on, by the configured backend where it is certified. The monitor is
        kept where the reference is the same.

        Raises ExtractorMismatch when the version was taught with another extractor.
        """
        if model.version.extractor != self.extractor.fingerprint:
            raise ExtractorMismatch(
                expected=f"the extractor of version {model.version.number}, {model.version.extractor[:12]}",
                came=f"the configured one, {self.extractor.fingerprint[:12]}",
                do="restore the extractor section of config.yaml, or teach into a new state_dir",
            )
        scorer = self.select_backend(model)
        regimes = scene_records.regimes(model, self.settings.memory.seed)
        model.snapshot.detector.warm_up()
        with self._switching:
            before = self.active
            same = before is not None and scene_records.reference_id(before.model) == scene_records.reference_id(model)
            monitor = before.monitor if before and same else self._monitor(model)
            self.active = Active(model, sight_of(model, self.extractor), scorer, monitor, regimes)
            dropped, self.trial = self.trial, None
        if dropped is not None:
            self.ledger.event(self.clock_ms(), "trial_dropped", reason=f"version {model.version.number} came first")
        log.info("version active", version=model.version.number, threshold=round(scorer.threshold.value, 4))

    def select_backend(self, model: Model) -> Scorer:
        """The scorer for `model`: by the configured backend where it is certified, which may take seconds, or by
        torch."""
        if self.accelerated is None:
            return Scorer(self.extractor, Threshold.of(model.version.threshold))
        sight = sight_of(model, self.extractor)
        return self.accelerated.select_backend(model, sight, self.pictures(sight), self.ledger, self.clock_ms())

    def pictures(self, sight: Sight) -> Pictures:
        """The kept images as a version sees them."""
        geometry = sight.canvas.geometry
        return Pictures(self.ledger, self.kept, geometry, self.settings.source, sight.template)

    def rebuild_monitor(self) -> None:
        """Rebuild the monitor from the ledger, after a frame was measured but could not be recorded."""
        with self._switching:
            if self.active:
                self.active = replace(self.active, monitor=self._monitor(self.active.model))

    def _monitor(self, model: Model) -> Monitor:
        return scene_records.monitor(self.ledger, self.store, model, self.settings.memory.seed)

    def judge(
        self, frame: Frame, decoded: Future[Decoded] | None = None, following: Sequence[Waits] = ()
    ) -> JudgedFrame:
        """Give a frame its one verdict, durable in the ledger; a frame judged before keeps its earlier verdict.

        Its image may be `decoded` beforehand; the frames `following` it are looked at meanwhile. Never raises for a bad
        image, unless it was imported: then ImageRejected, and nothing is recorded. Raises sqlite3.OperationalError or
        OSError where the disk refuses.
        """
        earlier = self.ledger.frame(frame.frame_id)
        if earlier is not None:
            return earlier
        active, started, now_ms = self.active, time.perf_counter(), self.clock_ms()
        scored = self._score(Waits(frame, decoded), following, active, now_ms)
        if frame.imported and isinstance(scored, Decision):
            raise ImageRejected(expected="an image that can be scored", came=scored.reason, do="leave it out")
        judgement = self._observe(frame, scored, active, now_ms)
        judge_ms = round((time.perf_counter() - started) * 1000, 3)
        recorded = self._record(frame, judgement, active, now_ms, judge_ms)
        if judgement.scored:
            self.pace.took((time.perf_counter() - started) * 1000 + self._ahead.hidden_ms)
        return recorded

    def _score(self, waits: Waits, following: Sequence[Waits], active: Active | None, now_ms: int) -> Scored | Decision:
        """A frame's score, or the decision that it has none, with the reason."""
        frame, decoded = waits
        if frame.data is None or frame.problem is not None:
            return self._refused(frame.problem or "the frame carries no image")
        if active is None:
            return unknown("no memory bank yet: run `driftline teach DIR`")
        policy, number = self.settings.policy, self.ledger.next_seq
        if late := self.pace.leaves_out(frame, number, now_ms, policy):
            return unknown(late)
        in_time = list(self.pace.in_time(following, number, now_ms, policy))
        try:
            refuse_repeated(self.ledger, frame)
            look = self._ahead.look(frame.data, decoded, active, None if frame.imported else now_ms)
            self._ahead.begin(in_time, look, active, now_ms)
            # As many for every image of a version: faiss ranks within rounding, which the number of threads changes.
            search_with(self.settings.extractor.threads if look.view.features.large else 1)
            scored = looks.scored(look, active)
        except ImageRejected as error:
            return self._refused(str(error))
        except Exception as error:  # out of memory, a device lost, ...: this frame's trouble, not the service's
            log.exception("frame could not be scored")
            return self._refused(f"it could not be scored: {type(error).__name__}: {error}")
        self.unseen.judged()
        return scored

    def _refused(self, why: str) -> Decision:
        self.unseen.refused(why, time.monotonic())
        return unknown(why)

    def _observe(self, frame: Frame, scored: Scored | Decision, active: Active | None, now_ms: int) -> Judgement:
        """The decision, under the drift state after this frame. Nothing else moves the monitor, and imported frames do
        not."""
        believed = active.monitor.state if active else CALM
        if isinstance(scored, Decision):
            return Judgement(scored, None, None, active.monitor.light if active else None, believed, None)
        assert active is not None  # noqa: S101  # it has scored the frame
        score, threshold, drift = scored.score.value, active.current_threshold, None
        if not frame.imported:
            seen = MeasuredFrame(scored.signals, self.ledger.next_seq(), now_ms, flagged=score > threshold.value)
            drift = active.monitor.update(seen, active.regimes)
        decision = decide(score, threshold, drift or believed)
        return Judgement(decision, scored, threshold.value, scored.light, believed, drift)

    def _record(
        self, frame: Frame, judgement: Judgement, active: Active | None, now_ms: int, judge_ms: float
    ) -> JudgedFrame:
        """Keep the frame, record its verdict and whether people are asked about it, and record events of drift."""
        decision, scored, drift = judgement.decision, judgement.scored, judgement.drift
        seen = scored if not frame.imported else None
        audit = seen is not None and audited(frame.frame_id, self.settings.policy.audit_share)
        regime = judgement.believed.regime
        trial = shadow.trial_verdict(self.trial, seen.view, decision.verdict, regime) if seen else None
        disputed = trial not in {None, decision.verdict}
        ask = seen is not None and (audit or is_asked(self.ledger, self.settings.policy, decision, disputed, now_ms))
        name = None
        if frame.data is not None:
            durable = ask or frame.imported
            name = self.kept.keep(frame.frame_id, frame.data, scored.anomaly if scored else None, durable=durable)
        recorded = self.ledger.record_verdict(
            NewVerdict(
                frame_id=frame.frame_id,
                part_id=frame.part_id,
                source=frame.source,
                judged_ms=now_ms,
                verdict=decision.verdict,
                reason=decision.reason,
                score=scored.score.value if scored else None,
                p_value=decision.p_value,
                threshold=judgement.threshold,
                version=active.model.version.number if active else None,
                backend=active.scorer.extractor.backend.description if active and scored else None,
                evidence=scored.evidence if scored else None,
                reference=scene_records.reference_id(active.model) if active else None,
                drift=asdict(drift) if drift else {},
                scene=scene_records.scene_record(
                    active.monitor if active else None, judgement.light, seen.signals if seen else None
                ),
                image_sha256=frame.image_sha256,
                kept=name,
                asked=ask,
                audited=audit,
                trial=trial,
                timings={"judge_ms": judge_ms},
                imported=frame.imported,
            )
        )
        if drift:
            scene_records.record_events(self.ledger, judgement.believed, drift, frame.frame_id, now_ms)
        if disputed:
            self.ledger.event(now_ms, "trial_disagrees", frame_id=frame.frame_id, head=recorded.verdict, trial=trial)
        if decision.verdict is not Verdict.OK:
            log.info("frame", verdict=decision.verdict, reason=decision.reason)
        return recorded

    def decode(self, data: bytes) -> Decoded:
        """The image on the canvas of the version that judges now. Raises ImageRejected."""
        active = self.active
        geometry = active.sight.canvas.geometry if active else Geometry.squeezed(self.extractor.input_px)
        return decode_onto(data, geometry, self.settings.source)

    def score_image(self, seen: Decoded, active: Active, at_ms: int | None = None) -> Scored:
        """Score a decoded image under the light as estimated now, or a frame of the line under that of `at_ms` (Unix,
        ms: `Monitor.light_at`); nothing is recorded or changed. Raises ImageRejected (`Sight.place`)."""
        return looks.scored(looks.look_at(seen, active, at_ms, self.settings.source), active)

    def view(self, frame: JudgedFrame) -> View | None:
        """The view of a judged frame (`seen`)."""
        seen = self.seen(frame)
        return None if seen is None else seen.view

    def seen(self, frame: JudgedFrame) -> Seen | None:
        """A judged frame seen again, by the reference backend's features and in its own light
        (`scene_records.gain_seen`); None where its image is gone or was altered."""
        reference = self.active.monitor.reference if self.active else None
        sight = self.active.sight if self.active else sight_of(self.store.current(), self.extractor)
        gain = scene_records.gain_seen(self.store, frame, sight.canvas.geometry, reference)
        found = self.pictures(sight).of(frame, gain)
        return None if found is None else Seen(sight.view(found[0], self.extractor), found[1])

    def drift(self) -> DriftState:
        """The drift state now; stable where no version is active yet."""
        return self.active.monitor.state if self.active else CALM
