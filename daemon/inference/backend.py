"""The backend that `extractor.backend` names: it judges in torch's place, under a certificate for each version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from daemon.inference import scene_records
from daemon.ledger.kept import Pictures
from daemon.ledger.ledger import Ledger
from memory.features import Features, Image
from memory.version import Model, Version
from policies.parity import Parity, compare
from policies.threshold import Threshold

if TYPE_CHECKING:
    from memory.extract import Extractor

log = structlog.get_logger()


@dataclass(frozen=True)
class Scorer:
    """What scores frames, and the threshold of its own scores. `refused` says why the chosen backend does not."""

    extractor: Extractor
    threshold: Threshold
    refused: str | None = None


class AcceleratedBackend:
    """A backend other than the reference. Banks are made by the reference alone, so backends may change at any time.

    A version is judged by it only where it gives every calibration part and every confirmed defect the reference's
    verdict (`policies.parity`). Otherwise the reference judges: slower, and said in log, event and status.
    """

    def __init__(self, name: str, reference: Extractor, threads: int, folder: Path) -> None:
        self.name = name
        self._reference = reference
        self._threads = threads
        self._folder = folder
        self._made: dict[str, Extractor] = {}

    def select_backend(self, model: Model, pictures: Pictures, ledger: Ledger, now_ms: int) -> Scorer:
        """Who judges by this version; a certificate that is not on record is made now, which takes seconds.

        Raises DriftlineError where the backend's library is not installed.
        """
        version = model.version
        parts = model.snapshot.calibration_set.samples
        if all(pictures.sample(part) is None for part in parts):
            return self._refused(version, "the images of its calibration parts were not kept: teach again")
        taught = (image for part in parts if (image := pictures.sample(part)) is not None)
        quick = self._compiled(scene_records.reference_id(model), taught)
        held = ledger.certificate(version.sha256, self.name)
        parity = Parity.of(held["parity"]) if held and held["made"] == quick.backend.description else None
        if parity is None or parity.gone:  # what was gone may be back
            parity = compare(model, lambda sample: _look(quick, pictures, sample))
            ledger.certify(version.sha256, self.name, quick.backend.description, now_ms, parity.to_json())
            ledger.event(
                now_ms, "backend", number=version.number, backend=quick.backend.description, **parity_summary(parity)
            )
        if parity.refusal is not None or parity.threshold is None:
            return self._refused(version, parity.refusal)
        log.info("backend certified", backend=quick.backend.description, parts=parity.parts, defects=parity.defects)
        return Scorer(quick, parity.threshold)

    def _refused(self, version: Version, reason: str | None) -> Scorer:
        log.error("backend refused: torch judges", backend=self.name, reason=reason)
        return Scorer(self._reference, Threshold.of(version.threshold), reason)

    def _compiled(self, reference: str, taught: Iterable[Image]) -> Extractor:
        """The backend for parts that were taught with this reference: eight bits are spread over what these need."""
        from memory.backends import compiled

        if reference not in self._made:
            on = self._reference
            kept = self._folder / f"{self.name}-{on.fingerprint[:12]}-{reference}"
            self._made = {reference: on.on(compiled(self.name, on.network, on.input_px, self._threads, kept, taught))}
        return self._made[reference]


def parity_summary(parity: Parity) -> dict[str, object]:
    """What people are told of a comparison."""
    return {
        "certified": parity.refusal is None,
        "parts": parity.parts,
        "defects": parity.defects,
        "worst": round(parity.worst, 5),
        "shift": round(parity.shift, 3),
        **({"reason": parity.refusal} if parity.refusal else {}),
    }


def _look(quick: Extractor, pictures: Pictures, sample: str) -> Features | None:
    image = pictures.sample(sample)
    return None if image is None else quick(image)
