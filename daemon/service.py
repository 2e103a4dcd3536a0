"""The service of a line: judges frames, records answers, publishes the outbox, and learns when lessons are due."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from daemon.inference.engine import Engine
from daemon.intake.sources import Frame, Source, reused
from daemon.intake.waiting import Waiting, Waits
from daemon.learning import feedback, lesson, publish, retraining, trials
from daemon.learning.answers import FeedbackRejected
from daemon.learning.training import Training
from daemon.ledger import outbox
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.history import knows_version
from daemon.outages import Resource
from daemon.settings.tracing import Span, untraced
from daemon.status import probe, status_report
from daemon.streams import RedisLost, RedisStreams, Stream
from memory.errors import DriftlineError, StaleParent
from memory.store import Store
from memory.version import Model

TURN_S = 0.5  # then answers are read, however many frames wait
log = structlog.get_logger()


class Service:
    """The worker of one line. `turn` is called again and again by one thread; bad input does not stop it.

    The ledger is the truth, and Redis transports: a verdict is durable in the ledger before its frame is acknowledged,
    and the outbox publishes what the ledger holds and the streams do not. A crash anywhere repeats only what can be
    repeated: the ledger knows frame ids and answer keys, the stream verdict ids.
    """

    def __init__(
        self, engine: Engine, store: Store, source: Source, streams: RedisStreams, span: Span = untraced
    ) -> None:
        self.engine, self.store = engine, store
        self.source, self.streams = source, streams
        self._span = span
        self.waiting = Waiting(engine.decode)
        self._publishing = ThreadPoolExecutor(1, "publish")
        self.stopping = threading.Event()
        self.probe_ms: float | None = None
        self._probed: Model | None = None
        resources = map(Resource, ("redis", "disk", "camera", "inspection"))
        self._redis, self._disk, self._camera, self.inspection = resources
        self.training, self._learning = Training(), threading.Lock()
        self._unsure = False  # whether a frame was measured and could not be recorded
        self._noticed = 0

    def start(self) -> None:
        """Start from the state on disk: record versions that the ledger does not know, report damage, activate the
        head.

        Raises ExtractorMismatch where the head was taught with another extractor.
        """
        now_ms = self.engine.clock_ms()
        for version in self.store.history():
            if not knows_version(self.engine.ledger, version.number):
                publish.announce(self.engine.ledger, version, now_ms)
        for line in self.store.damaged():
            self.engine.ledger.event(now_ms, "damaged_version", what=line)
            log.error("damaged version passed over", what=line)
        head = self.store.head()
        if head is None:
            log.warning("no version yet: every frame is UNKNOWN until `driftline teach DIR`")
        else:
            self.engine.activate(self.store.load(head))
            self._probe()
            if trials.under_way(self.engine.ledger, head.number):
                self.learn("trial")

    @property
    def trouble(self) -> dict[str, str]:
        """The resources that are away now, each with the reason."""
        resources = (self._redis, self._disk, self._camera, self.inspection)
        return {resource.name: trouble for resource in resources if (trouble := resource.trouble) is not None}

    def run(self, between: Callable[[], None], block_ms: int = 200) -> None:
        """Turn until `stopping` is set, and call `between` before each turn; the frame in hand is finished first."""
        while not self.stopping.is_set():
            between()
            self.turn(block_ms)

    def turn(self, block_ms: int) -> None:
        """One round. Where Redis or the disk is away, it waits and reports that; it never raises and loses nothing."""
        try:
            if self._unsure:
                self.engine.rebuild_monitor()
                self._unsure = False
            try:
                if not self.waiting:
                    self.waiting.add(self.source.read(block_ms))
            except RedisLost as error:
                self.lost(self._redis, str(error))
                self.stopping.wait(self._redis.wait_s)
                return
            self._judge()
            self.engine.pace.tell(self.engine.ledger, self.engine.clock_ms(), time.monotonic())
            if trouble := self.source.trouble or self.engine.unseen.trouble(time.monotonic()):
                self.lost(self._camera, trouble)
            else:
                self.regained(self._camera)
            if self.stopping.is_set():
                return
            self._with_redis(self._answers)
            self._with_redis(self._publish_outbox)
            self.regained(self._disk)
        except DISK_ERRORS as error:
            self.lost(self._disk, str(error))
            self._unsure = True
            self.waiting.forget()
            self.streams.prepared = False  # what was read and not recorded is read again
            self.stopping.wait(self._disk.wait_s)

    def lesson_if_due(self) -> None:
        """Learn now if there are `policy.lesson_after` unlearned answers, or a trial is under way."""
        if lesson.due(self.engine, self.engine.settings.policy.lesson_after):
            self.learn("admission")

    def recalibrate(self) -> None:
        """Learn now if there is any unlearned answer."""
        if lesson.due(self.engine, 1):
            self.learn("recalibration")

    def retrain(self) -> None:
        """Train again what cannot learn part by part, where that is due, and propose it; scoring goes on meanwhile."""
        if trained := retraining.train(self.engine, self.training, self.stopping):
            self.learn(retraining.CAUSE, lambda: retraining.propose(self.engine, self.store, trained))

    def learn(self, cause: str, propose: Callable[[], object] | None = None) -> None:
        """A lesson, or another proposal. A failure (full disk, weights that are gone) is recorded; scoring goes on."""
        with self._learning:
            self._notice()
            try:
                with self._span("lesson") as mark:
                    mark("cause", cause)
                    (propose or (lambda: lesson.learn(self.engine, self.store, cause)))()
            except StaleParent as error:
                log.info("lesson postponed: another version came first", error=str(error))
            except DriftlineError as error:
                log.error("lesson failed", error=str(error))
                self.engine.ledger.event(self.engine.clock_ms(), "lesson_failed", error=str(error))
            self._probe()

    def notice_versions(self) -> None:
        """Activate a version that another process committed: a rollback, a new teach. Does nothing during a lesson,
        which has checked by itself, so that the caller need not wait for it."""
        if self._learning.acquire(blocking=False):
            try:
                self._notice()
            finally:
                self._learning.release()

    def _notice(self) -> None:
        active, newest = self.engine.active, self.store.newest_number()
        if newest != self._noticed and (active is None or newest > active.model.version.number):
            self._noticed = newest
            if (head := self.store.head()) and (active is None or head.number != active.model.version.number):
                self.engine.activate(self.store.load(head))
        self._probe()

    def _probe(self) -> None:
        """Let the active version score a probe image, once after each activation."""
        active = self.engine.active
        if active is not None and active.model is not self._probed:
            self.probe_ms, self._probed = probe(self.engine, active), active.model

    def status(self) -> dict[str, object]:
        """The report for `driftline status` (`daemon.status`)."""
        return status_report(self.engine, self.probe_ms, self.streams.url, self.trouble)

    def lost(self, resource: Resource, error: str) -> None:
        """Record, once for each outage, that a resource is away."""
        if resource.lost(error, time.monotonic()):
            log.error(f"{resource.name} away", error=error)
            with contextlib.suppress(*DISK_ERRORS):
                self.engine.ledger.event(self.engine.clock_ms(), f"{resource.name}_away", error=error)

    def regained(self, resource: Resource) -> None:
        """Record that a resource is back, where it was away."""
        if resource.regained():
            log.info(f"{resource.name} back")
            self.engine.ledger.event(self.engine.clock_ms(), f"{resource.name}_back")

    def _judge(self) -> None:
        """Judge what waits, in order, for `TURN_S` at most. While one frame is judged, the next is decoded and looked
        at, and the one before is published."""
        until_s, behind = time.monotonic() + TURN_S, self._publishing.submit(lambda: None)
        with self.training.paused():
            while self.waiting and not self.stopping.is_set() and time.monotonic() < until_s:
                try:
                    judged = self._frame(self.waiting.take())
                finally:
                    behind.result()
                behind = self._publishing.submit(self._publish, judged)
        behind.result()

    def _frame(self, waits: Waits) -> Frame:
        frame, ledger, now_ms = waits.frame, self.engine.ledger, self.engine.clock_ms()
        earlier = ledger.frame(frame.frame_id)
        if earlier is not None and frame.data is not None:
            frame = reused(frame, earlier.image_sha256)
            earlier = ledger.frame(frame.frame_id)
        version = self.engine.active.model.version.number if self.engine.active else None
        with (
            structlog.contextvars.bound_contextvars(frame=frame.frame_id, part=frame.part_id, version=version),
            self._span("frame") as mark,
        ):
            judged = self.engine.judge(frame, waits.image, self.waiting.following)
            for name in ("frame_id", "part_id", "verdict", "version", "score", "threshold"):
                if (value := getattr(judged, name)) is not None:
                    mark(name, value)
        if earlier is not None:
            ledger.event(now_ms, "frame_again", frame_id=frame.frame_id)
        elif frame.problem is not None:
            ledger.event(now_ms, "frame_refused", frame_id=frame.frame_id, reason=frame.problem)
        return frame

    def _publish(self, frame: Frame) -> None:
        self._with_redis(self._publish_outbox)
        try:
            self.source.acknowledge(frame)
        except RedisLost as error:
            self.lost(self._redis, str(error))

    def _answers(self) -> None:
        for message in self.streams.read(Stream.FEEDBACK):
            try:
                feedback.take(self.engine, message)
            except FeedbackRejected as error:
                now_ms = self.engine.clock_ms()
                self.engine.ledger.event(now_ms, "feedback_refused", entry=message.entry, reason=str(error))
                self.streams.bury(message, str(error))
                log.warning("feedback refused", entry=message.entry, reason=str(error))
            else:
                self.streams.acknowledge(message)

    def _publish_outbox(self) -> None:
        outbox.publish(self.engine.ledger, self.streams)

    def _with_redis(self, call: Callable[[], None]) -> None:
        """Call something that uses Redis, unless Redis was lost a moment ago: a watched folder is judged meanwhile."""
        if not self._redis.due(time.monotonic()):
            return
        try:
            call()
        except RedisLost as error:
            self.lost(self._redis, str(error))
        else:
            self.regained(self._redis)
