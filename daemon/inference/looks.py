"""A frame's score in two halves: a look, for which the network takes most of the time, and what is made of it.

While one frame is scored and recorded, other threads look at the next ones, each in the light that is expected at its
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

DEPTH = 2  # frames that are looked at beforehand, each by a thread where there are so many
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
    """A look under way by a version, at an image: the light that is expected, and the light's tracker after the frame,
    which the next look waits for, both known before the look; the look, and how long it took (ms)."""

    image: Future[Decoded]
    active: Active
    expected: Future[LightEstimate]
    after: Future[LightTracker]
    found: Future[tuple[Look, float]]

    def dropped(self) -> bool:
        """Drop the look where no thread has taken it yet. Returns whether that was so."""
        was = self.found.cancel()
        if was:
            self.after.cancel()  # a thread may have taken the next look meanwhile, and wait
        return was


class Ahead:
    """Looks at frames that wait, `DEPTH` of them at most, taken by so many `threads` of its own, no more than that;
    each computes alone, where that changes nothing.

    Each is taken in the light that is expected once the frames before it are judged and none of them is flagged, and
    is given out in no other. `hidden_ms` is how long the last look took beforehand, 0 where it was taken in its turn.
    """

    def __init__(self, source: SourceSettings, threads: int) -> None:
        self.hidden_ms = 0.0
        self._source, self._count = source, min(threads, DEPTH)
        self._threads = self._of_its_own()
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
            light: tuple[Future[LightEstimate], Future[LightTracker]] = (Future(), Future())
            last = self._begun[-1].after if self._begun else None
            tracker = None if last else active.monitor.light_after(after.placed.levels, at_ms)
            try:
                found = self._threads.submit(_found, image, active, tracker or last, light, at_ms, self._source)
            except RuntimeError:  # of the system: no thread can be had
                log.exception("frames that wait cannot be looked at ahead")
                self._threads = self._of_its_own()
                return
            self._begun.append(_Begun(image, active, *light, found))

    def _taken(self, image: Future[Decoded] | None, active: Active, light: LightEstimate) -> Look | None:
        """The look that was begun at this image, waited for. None where it was not, or by another version or in another
        light, or where it failed: who looks now is told why. Then none is begun any more."""
        begun, self.hidden_ms = self._begun.popleft() if self._begun else None, 0.0
        if begun and begun.image is image and begun.active is active and not begun.dropped():
            in_light = not begun.expected.exception() and begun.expected.result() == light
            if in_light and not begun.found.exception():
                found, self.hidden_ms = begun.found.result()
                return found
        for each in self._begun:
            each.dropped()
        self._begun.clear()
        return None

    def _of_its_own(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, "look ahead", initializer=compute_alone)


def _light(active: Active, at_ms: int | None, place: Callable[[], Placed]) -> LightEstimate:
    monitor = active.monitor
    return monitor.light if at_ms is None else monitor.light_at(at_ms, lambda: place().levels)


def _found(
    image: Future[Decoded],
    active: Active,
    before: LightTracker | Future[LightTracker] | None,
    light: tuple[Future[LightEstimate], Future[LightTracker]],
    at_ms: int,
    source: SourceSettings,
) -> tuple[Look, float]:
    began_s, (expected, after) = time.perf_counter(), light
    try:
        tracker = before.result() if isinstance(before, Future) else before
        if tracker is None or tracker.starting(at_ms):
            raise LookupError("in a start a frame's own levels tell of its light")
        expected.set_result(tracker.light)
        placed = active.sight.place(image.result(), source)
        after.set_result(tracker.after(placed.levels, at_ms))
    except BaseException as error:
        for told in light:
            if not told.done():
                told.set_exception(error)
        raise
    return look(placed, active, tracker.light), 1000 * (time.perf_counter() - began_s)
