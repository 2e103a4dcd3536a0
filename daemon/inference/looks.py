"""A frame's score in two halves: a look, for which the network takes most of the time, and what is made of it.

While one frame is scored and recorded, another thread looks at the next ones, each in the light that is expected at its
turn. In another light, or by another version, a frame is looked at again: which thread has looked never shows in a
score.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import structlog

from daemon.inference.judgement import Active, Scored
from daemon.inference.sight import Placed
from daemon.intake.onto_canvas import Decoded, decoded_onto
from daemon.settings.models import SourceSettings
from drift.light import LightEstimate
from drift.light_tracker import LightTracker
from drift.reference import measure
from memory.features import Image, View, colours
from memory.runtime import compute_alone

DEPTH = 2  # one is finished while the thread takes the other
log = structlog.get_logger()


@dataclass(frozen=True, eq=False)
class Look:
    """What a version sees in an image in a certain light: the `image` (H, W, 3 or 6) u8 is that with the light divided
    out, and `view` the view of it."""

    placed: Placed
    light: LightEstimate
    image: Image
    view: View


def look(placed: Placed, active: Active, light: LightEstimate) -> Look:
    """Look at an image."""
    image = active.sight.lit(placed, light.gain(active.monitor.reference.light))
    return Look(placed, light, image, active.sight.view(image, active.scorer.extractor))


def look_at(seen: Decoded, active: Active, at_ms: int | None, source: SourceSettings) -> Look:
    """Look at a decoded image, in the light as estimated now, or at a frame of the line in that of `at_ms` (Unix, ms:
    `Monitor.light_at`). Raises ImageRejected (`Sight.place`)."""
    placed = active.sight.place(seen, source)
    return look(placed, active, _light(active, at_ms, lambda: placed))


def scored(look: Look, active: Active) -> Scored:
    """The score and the signals of what was looked at."""
    placed, features, inside = look.placed, look.view.features, active.sight.canvas.inside
    score = active.model.snapshot.detector.score(look.view)
    signals = measure(placed.raw, look.image, features, active.monitor.reference, inside, levels=placed.levels)
    stride_px = active.scorer.extractor.shapes.stride_px
    return Scored(look.view, colours(look.image), look.light, score, signals, placed.placement, stride_px)


@dataclass(frozen=True, eq=False)
class _Begun:
    """A look under way by a version, at an image: the light that is expected, known before the look; the look, how long
    it took, and the light's tracker after it."""

    image: Future[Decoded]
    active: Active
    expected: Future[LightEstimate]
    found: Future[tuple[Look, float, LightTracker]]


class Ahead:
    """Looks at frames that wait, taken by a thread of its own, `DEPTH` of them at most; it computes alone, where that
    changes nothing.

    Each is taken in the light that is expected once the frames before it are judged and none of them is flagged, and
    is given out in no other. `hidden_ms` is how long the last look took beforehand, 0 where it was taken in its turn.
    """

    def __init__(self, source: SourceSettings) -> None:
        self.hidden_ms = 0.0
        self._source = source
        self._thread = self._one_thread()
        self._begun: deque[_Begun] = deque()

    def look(self, data: bytes, decoded: Future[Decoded] | None, active: Active, at_ms: int | None) -> Look:
        """The look at an image file, whose turn it is: the one that was taken ahead, or else one taken now (`look_at`).
        Raises ImageRejected."""
        seen = decoded_onto(decoded, data, active.sight.canvas.geometry, self._source)
        place = cache(partial(active.sight.place, seen, self._source))
        light = _light(active, at_ms, place)
        return self._taken(decoded, active, light) or look(place(), active, light)

    def begin(self, images: Iterable[Future[Decoded]], after: Look, active: Active, at_ms: int) -> None:
        """Begin to look at images that wait, in their order, where that is not begun, `after` what is scored now. Where
        no thread can be had, that is logged, and they are looked at in their turn."""
        known = [begun.image for begun in self._begun]
        for image in images:
            if image in known or len(self._begun) >= DEPTH:
                continue
            last, expected = self._begun[-1].found if self._begun else None, Future[LightEstimate]()
            tracker = None if last else active.monitor.light_after(after.placed.levels, at_ms)
            try:
                found = self._thread.submit(_found, image, active, tracker or last, expected, at_ms, self._source)
            except RuntimeError:  # of the system, or the thread failed as it began
                log.exception("frames that wait cannot be looked at ahead")
                self._thread = self._one_thread()
                return
            self._begun.append(_Begun(image, active, expected, found))

    def _taken(self, image: Future[Decoded] | None, active: Active, light: LightEstimate) -> Look | None:
        """The look that was begun at this image, waited for. None where it was not, or by another version or in another
        light, or where it failed: who looks now is told why. Then none is begun any more."""
        begun, self.hidden_ms = self._begun.popleft() if self._begun else None, 0.0
        if begun and begun.image is image and begun.active is active and not begun.found.cancel():
            in_light = not begun.expected.exception() and begun.expected.result() == light
            if in_light and not begun.found.exception():
                found, self.hidden_ms, _ = begun.found.result()
                return found
        for each in self._begun:
            each.found.cancel()
        self._begun.clear()
        return None

    def _one_thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "look ahead", initializer=compute_alone)


def _light(active: Active, at_ms: int | None, place: Callable[[], Placed]) -> LightEstimate:
    monitor = active.monitor
    return monitor.light if at_ms is None else monitor.light_at(at_ms, lambda: place().levels)


def _found(
    image: Future[Decoded],
    active: Active,
    before: LightTracker | Future[tuple[Look, float, LightTracker]] | None,
    expected: Future[LightEstimate],
    at_ms: int,
    source: SourceSettings,
) -> tuple[Look, float, LightTracker]:
    try:
        tracker = before.result()[2] if isinstance(before, Future) else before
        if tracker is None or tracker.starting(at_ms):
            raise LookupError("in a start a frame's own levels tell of its light")
        expected.set_result(tracker.light)
    except BaseException as error:
        expected.set_exception(error)
        raise
    seen = image.result()
    began_s = time.perf_counter()
    found = look(active.sight.place(seen, source), active, tracker.light)
    return found, 1000 * (time.perf_counter() - began_s), tracker.after(found.placed.levels, at_ms)
