"""The quickest backend that is certified: what `extractor.backend: auto` means."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from statistics import median
from typing import TYPE_CHECKING

import structlog

from daemon.inference.backend import AcceleratedBackend, Scorer
from daemon.inference.sight import Sight
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.kept import Pictures
from daemon.ledger.ledger import Ledger
from memory import backends
from memory.backends import TORCH
from memory.detector import Score
from memory.errors import DriftlineError, StoreError
from memory.features import Image
from memory.runtime import gpus, instructions, out_of_memory, processor
from memory.version import Model
from policies.quickest import Choice, order
from policies.threshold import Threshold

if TYPE_CHECKING:
    from memory.extract import Extractor

AUTO = "auto"
MEASURED, CHOSEN = "backends", "backend_choice"  # in the ledger's status: what each takes, and what was chosen last
KEPT = 8  # measurements, of other shapes and libraries
LEAST_ROUNDS, ROUNDS, MOST_S = 3, 15, 10.0
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
        """The scorer for this version, with how it was chosen; the first time it takes ten seconds, or minutes where
        parts are judged in many tiles.

        Torch judges where it is the quickest, where all that are quicker are refused or fail, and where nothing can be
        measured: whatever a library, a disk or the memory says, the line starts, and why is told.
        """
        scorer = Scorer(self._reference, Threshold.of(model.version.threshold))
        ms: dict[str, float] = {}
        refused: dict[str, str] = {}
        try:
            ms, refused = self._times(model, sight, pictures, ledger, now_ms)
        except Exception as error:  # each library raises its own
            refused[AUTO] = _reason(error)
        for name in order(ms):
            if name == TORCH:
                break
            try:
                scorer = self._candidates[name].certified(model, sight, pictures, ledger, now_ms)
            except Exception as error:  # as above
                refused[name] = _reason(error)
                continue
            if scorer.refused is None:
                break
            refused[name] = scorer.refused
        choice = Choice(ms, refused)
        self._told(scorer, choice, model, ledger)
        return replace(scorer, refused=None, choice=choice)

    def _told(self, scorer: Scorer, choice: Choice, model: Model, ledger: Ledger) -> None:
        """Forget who does not judge, and tell who does."""
        torch = scorer.extractor is self._reference
        for each in self._candidates.values():
            if torch or each.name != scorer.extractor.backend.name:
                each.forget()
        made = TORCH if torch else scorer.extractor.backend.description
        telling = log.warning if choice.refused else log.info
        telling("quickest backend chosen", backend=made, ms=dict(choice.ms), refused=dict(choice.refused))
        with suppress(*DISK_ERRORS):  # a full disk stops no line
            ledger.set_status(CHOSEN, {"version": model.version.sha256, "made": made, **asdict(choice)})

    def _times(
        self, model: Model, sight: Sight, pictures: Pictures, ledger: Ledger, now_ms: int
    ) -> tuple[dict[str, float], dict[str, str]]:
        """The ms in which a part is judged by each backend, and why others cannot judge one."""
        shape = f"{sight.canvas.geometry.canvas_px} in tiles of {sight.canvas.geometry.tile_px}"
        made = "; ".join(f"{name}: {backends.versions(name)}" for name in self._candidates)
        here = f"{processor()} {sha256(instructions().encode()).hexdigest()[:12]} {' '.join(gpus())}"
        measured_for = f"{self._reference.fingerprint} {shape} {here} {self._threads} threads; {made}"
        known = ledger.get_status(MEASURED) or {}
        if measured_for in known:
            return dict(known[measured_for]["ms"]), dict(known[measured_for]["failed"])
        parts = map(pictures.sample, model.snapshot.calibration_set.samples)
        image = next((each for each in parts if each is not None), None)
        if image is None:
            return {}, {AUTO: "the images of its calibration parts were not kept: teach again"}
        judges, failed = {TORCH: partial(_judge, model, sight, image, self._reference)}, {}
        for name, candidate in self._candidates.items():
            try:
                judge = partial(_judge, model, sight, image, candidate.compiled(model, sight, pictures))
                judge()
            except Exception as error:  # for a network or a processor that it cannot do
                if isinstance(error, (StoreError, *DISK_ERRORS)) or out_of_memory(error):
                    raise  # it may go well next time
                failed[name] = _reason(error)
            else:
                judges[name] = judge
        ms = _median_ms(judges, self._clock_s)
        newest = [*known.items(), (measured_for, {"ms": ms, "failed": failed})][-KEPT:]
        ledger.set_status(MEASURED, dict(newest))
        ledger.event(now_ms, "backends_measured", ms=ms, failed=failed)
        return ms, failed


def _judge(model: Model, sight: Sight, image: Image, extractor: Extractor) -> Score:
    return model.snapshot.detector.score(sight.view(image, extractor))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, DriftlineError) else f"{type(error).__name__}: {str(error)[:300]}"


def _median_ms(judges: Mapping[str, Callable[[], object]], clock_s: Callable[[], float]) -> dict[str, float]:
    """The median ms of each, in turns after a first one: what else the PC does meanwhile concerns all of them alike.
    Where parts take long, there are fewer turns."""
    taken_s: dict[str, list[float]] = {name: [] for name in judges}
    began_s = clock_s()
    for turn in range(1 + ROUNDS):
        if turn > LEAST_ROUNDS and clock_s() - began_s > MOST_S:
            break
        for name, judge in judges.items():
            started_s = clock_s()
            judge()
            taken_s[name].append(clock_s() - started_s)
    return {name: round(1000 * median(each[1:]), 3) for name, each in taken_s.items()}
