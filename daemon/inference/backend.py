"""The accelerated backend: it judges in place of torch, with a certificate for each version."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from daemon.inference import scene_records
from daemon.inference.sight import Sight
from daemon.ledger.kept import Pictures
from daemon.ledger.ledger import Ledger
from memory import backends
from memory.backends import Backend
from memory.errors import StoreError
from memory.features import Features, Image
from memory.tiles import Tiling
from memory.version import Model
from policies.parity import Parity, compare
from policies.quickest import Choice
from policies.threshold import Threshold

if TYPE_CHECKING:
    from memory.extract import Extractor

TILES_A_PART = 2  # that calibrate eight bits
log = structlog.get_logger()


@dataclass(frozen=True)
class Scorer:
    """An extractor that scores frames, with the threshold for its scores. `refused` says why it is not the configured
    one; `choice` how it was chosen, where the quickest was to be."""

    extractor: Extractor
    threshold: Threshold
    refused: str | None = None
    choice: Choice | None = None


class AcceleratedBackend:
    """A backend other than the reference. Versions are made by the reference alone, so backends may change at any time.

    It judges a version's frames only where it gives every calibration part and every confirmed defect the reference's
    verdict (`policies.parity`). Otherwise the reference judges, more slowly, and log, event and status say so.
    """

    def __init__(self, name: str, reference: Extractor, threads: int, folder: Path) -> None:
        self.name = name
        self._reference = reference
        self._threads = threads
        self._folder = folder
        self._compiled_for: dict[str, Extractor] = {}

    def select_backend(self, model: Model, sight: Sight, pictures: Pictures, ledger: Ledger, now_ms: int) -> Scorer:
        """The scorer for this version; a certificate that is not on record is made first, which takes seconds.

        Raises DriftlineError where the backend's library is not installed.
        """
        scorer = self.certified(model, sight, pictures, ledger, now_ms)
        if scorer.refused is not None:
            log.error("backend refused: torch judges", backend=self.name, reason=scorer.refused)
        return scorer

    def certified(self, model: Model, sight: Sight, pictures: Pictures, ledger: Ledger, now_ms: int) -> Scorer:
        """As `select_backend`, but what is refused is not in the log."""
        version = model.version
        if next(taught_tiles(model, sight, pictures), None) is None:
            return self._refused(model, "the images of its calibration parts were not kept: teach again")
        try:
            accelerated = self.compiled(model, sight, pictures)
        except StoreError as error:  # a full disk stops no line
            return self._refused(model, str(error))
        certificate = ledger.certificate(version.sha256, self.name)
        parity = (
            Parity.of(certificate["parity"])
            if certificate and certificate["made"] == accelerated.backend.description
            else None
        )
        if parity is None or parity.gone:  # what was gone may be back
            parity = compare(model, lambda sample: _features_of(accelerated, sight, pictures.sample(sample)))
            ledger.certify(version.sha256, self.name, accelerated.backend.description, now_ms, parity.to_json())
            ledger.event(
                now_ms,
                "backend",
                number=version.number,
                backend=accelerated.backend.description,
                **parity_summary(parity),
            )
        if parity.refusal is not None or parity.threshold is None:
            return self._refused(model, parity.refusal)
        log.info(
            "backend certified", backend=accelerated.backend.description, parts=parity.parts, defects=parity.defects
        )
        return Scorer(accelerated, parity.threshold)

    def _refused(self, model: Model, reason: str | None) -> Scorer:
        return Scorer(self._reference, Threshold.of(model.version.threshold), reason)

    def forget(self) -> None:
        """Give back the memory of what is compiled, which does not judge."""
        self._compiled_for = {}

    def compiled(self, model: Model, sight: Sight, pictures: Pictures) -> Extractor:
        """The extractor on this backend for a version's tiles; eight bits are calibrated by tiles of its taught parts.
        Weights are loaded only where no such network is kept; then what is known of them is kept too.

        Raises StoreError where the disk refuses, DriftlineError where the library is not installed or the processor
        cannot do it.
        """
        reference = scene_records.reference_id(model)
        if (before := self._compiled_for.get(reference)) is not None:
            return before
        base, shape = self._reference, sight.canvas.geometry.tile_px
        follows_from = reference if self.name == backends.INT8 else f"{shape[0]}x{shape[1]}"
        kept = self._folder / backends.kept_name(self.name, base.fingerprint, follows_from)

        def converted() -> Backend:
            taught = partial(taught_tiles, model, sight, pictures)
            return backends.compiled(self.name, lambda: base.network, shape, self._threads, kept, taught)

        try:
            quick = converted()
        except backends.DamagedNetwork as error:
            log.warning("a damaged network is converted again", error=str(error))
            _put_away(kept)
            quick = converted()
        base.grid_of(*shape)  # among what is known of it from now on
        try:
            base.keep_outline()
        except StoreError as error:  # the next start takes longer
            log.warning("what is known of the network cannot be kept", error=str(error))
        accelerated = base.on(quick)
        self._compiled_for = {reference: accelerated}
        return accelerated


def taught_tiles(model: Model, sight: Sight, pictures: Pictures) -> Iterator[Image]:
    """Tiles of a version's calibration parts as it sees them, as far as their images are kept."""
    for part in model.snapshot.calibration_set.samples:
        if (image := pictures.sample(part)) is not None:
            yield from _tiles(sight.canvas.tiling, image)


def _put_away(kept: Path) -> None:
    """Remove a folder that another process may be removing too, or have written anew since."""
    aside = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        kept.rename(aside)
        shutil.rmtree(aside)


def parity_summary(parity: Parity) -> dict[str, object]:
    """The fields of a comparison that its event carries."""
    return {
        "certified": parity.refusal is None,
        "parts": parity.parts,
        "defects": parity.defects,
        "worst": round(parity.worst, 5),
        "shift": round(parity.shift, 3),
        **({"reason": parity.refusal} if parity.refusal else {}),
    }


def _features_of(accelerated: Extractor, sight: Sight, image: Image | None) -> Features | None:
    return None if image is None else sight.view(image, accelerated).features


def _tiles(tiling: Tiling, image: Image) -> Iterator[Image]:
    height, width = tiling.tile_px
    for top, left in tiling.some(TILES_A_PART).starts.tolist():
        for at in range(0, image.shape[2], 3):  # of colours and of depth, which the network takes alike
            yield np.ascontiguousarray(image[top : top + height, left : left + width, at : at + 3])
