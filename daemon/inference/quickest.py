"""The quickest backend that is certified: what `extractor.backend: auto` means."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import structlog

from daemon.inference.backend import IMAGES_GONE, AcceleratedBackend, Scorer
from daemon.inference.sight import Sight
from daemon.ledger.kept import Pictures
from daemon.ledger.ledger import Ledger
from memory import backends
from memory.backends import TORCH
from memory.detector import Score
from memory.errors import StoreError
from memory.features import Image
from memory.runtime import processor
from memory.version import Model
from policies.quickest import Choice, order
from policies.threshold import Threshold

if TYPE_CHECKING:
    from memory.extract import Extractor

AUTO = "auto"
MEASURED = "backends"  # the status that says how long each takes
WARM_UP, ROUNDS = 3, 15
log = structlog.get_logger()


class QuickestBackend:
    """Chooses the quickest of several backends and torch that is certified for a version.

    The time that a part takes by each is measured once for a network, a shape of images, this processor, so many
    threads and these versions of the libraries, and kept in the ledger: a start measures nothing, and a line does not
    change its backend by chance.
    """

    def __init__(
        self,
        candidates: Sequence[AcceleratedBackend],
        reference: Extractor,
        threads: int,
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._candidates = {each.name: each for each in candidates}
        self._reference = reference
        self._threads = threads
        self._clock_s = clock_s

    def select_backend(self, model: Model, sight: Sight, pictures: Pictures, ledger: Ledger, now_ms: int) -> Scorer:
        """The scorer for this version, with how it was chosen; the first time that takes some ten seconds.

        Torch judges where it is the quickest, where all that are quicker are refused, and where none can be made.
        """
        torch = Scorer(self._reference, Threshold.of(model.version.threshold))
        try:
            ms = self._times(model, sight, pictures, ledger, now_ms)
        except (StoreError, OSError, MemoryError) as error:  # a full disk stops no line
            return self._chosen(torch, Choice({}, {AUTO: str(error)}))
        refused: dict[str, str] = {} if ms else {AUTO: IMAGES_GONE}
        for name in order(ms):
            if name == TORCH:
                break
            scorer = self._candidates[name].certified(model, sight, pictures, ledger, now_ms)
            if scorer.refused is None:
                return self._chosen(scorer, Choice(ms, refused))
            refused[name] = scorer.refused
        return self._chosen(torch, Choice(ms, refused))

    def _chosen(self, scorer: Scorer, choice: Choice) -> Scorer:
        for each in self._candidates.values():
            if scorer.extractor is self._reference or each.name != scorer.extractor.backend.name:
                each.forget()
        log.info(
            "quickest backend chosen",
            backend=TORCH if scorer.extractor is self._reference else scorer.extractor.backend.name,
            ms=dict(choice.ms),
            refused=dict(choice.refused),
        )
        return replace(scorer, choice=choice)

    def _times(
        self, model: Model, sight: Sight, pictures: Pictures, ledger: Ledger, now_ms: int
    ) -> Mapping[str, float]:
        """The ms in which a part is judged by each backend; empty where no image of its parts is kept."""
        shape = f"{sight.canvas.geometry.canvas_px} in tiles of {sight.canvas.geometry.tile_px}"
        made = "; ".join(f"{name}: {backends.versions(name)}" for name in self._candidates)
        measured_for = f"{self._reference.fingerprint} {shape} {processor()} {self._threads} threads; {made}"
        known = ledger.get_status(MEASURED)
        if known is not None and known["of"] == measured_for:
            ms: dict[str, float] = known["ms"]
            return ms
        parts = map(pictures.sample, model.snapshot.calibration_set.samples)
        image = next((each for each in parts if each is not None), None)
        if image is None:
            return {}
        extractors, failed = {TORCH: self._reference}, {}
        for name, candidate in self._candidates.items():
            try:
                extractors[name] = candidate.compiled(model, sight, pictures)
            except (StoreError, OSError, MemoryError):
                raise
            except Exception as error:  # each library raises its own for a network or a processor that it cannot do
                failed[name] = f"{type(error).__name__}: {error}"
                log.warning("a backend is left out", backend=name, error=failed[name])
        judges = {name: partial(_judge, model, sight, image, each) for name, each in extractors.items()}
        ms = _median_ms(judges, self._clock_s)
        ledger.set_status(MEASURED, {"of": measured_for, "ms": ms})
        ledger.event(now_ms, "backends_measured", ms=ms, failed=failed)
        return ms


def _judge(model: Model, sight: Sight, image: Image, extractor: Extractor) -> Score:
    return model.snapshot.detector.score(sight.view(image, extractor))


def _median_ms(judges: Mapping[str, Callable[[], object]], clock_s: Callable[[], float]) -> dict[str, float]:
    """The median ms of each, in turns: what else the PC does meanwhile concerns all of them alike."""
    taken_s: dict[str, list[float]] = {name: [] for name in judges}
    for _ in range(WARM_UP + ROUNDS):
        for name, judge in judges.items():
            started_s = clock_s()
            judge()
            taken_s[name].append(clock_s() - started_s)
    return {name: round(1000 * median(each[WARM_UP:]), 3) for name, each in taken_s.items()}
