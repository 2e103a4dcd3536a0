"""Teaching: a version from a folder of good parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from daemon.clock import iso
from daemon.inference.engine import Engine
from daemon.intake.decode import SUFFIXES, ImageRejected, decode, path_text, read_allowed
from daemon.learning.publish import announce
from daemon.ledger.kept import keep_taught
from daemon.settings.load import Settings
from drift.reference import fit_reference
from memory.defects import ConfirmedDefects
from memory.detector import GoodPart
from memory.errors import DriftlineError, ExtractorMismatch
from memory.features import Features, Image, View
from memory.learners import learner_of
from memory.region import Region, region_of
from memory.store import Store
from memory.version import Model, Snapshot, Version, VersionDraft
from policies.admission import Hold, Proposal
from policies.fitting import fit
from policies.gate import check
from policies.threshold import Threshold

if TYPE_CHECKING:
    from memory.extract import Extractor

MIN_PARTS = 2
Track = Callable[[Sequence[Path], str], Iterable[Path]]
log = structlog.get_logger()


class TeachError(DriftlineError):
    """The taught images cannot make a version."""


@dataclass(frozen=True)
class Draft:
    """A taught version before it is published: its snapshot, threshold and gate record, the names of its parts, and the
    files that could not be used, each with the reason. `base` is the version that it follows, `pictures` are the images
    (H, W, 3) u8 of its calibration parts, and `region` is where it judges."""

    base: Model | None
    snapshot: Snapshot
    threshold: Threshold
    gate: dict[str, object]
    names: tuple[str, ...]
    refused: dict[str, str]
    pictures: dict[str, Image]
    region: Region

    @property
    def id(self) -> str:
        """An id made from the draft's parts, base, threshold and region."""
        parts = [*self.names, str(self.base.version.sha256 if self.base else ""), repr(self.threshold.value)]
        parts.append(repr(self.region))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Taught:
    """A published version, its threshold, and the files that could not be used, each with the reason."""

    version: Version
    threshold: Threshold
    refused: dict[str, str]


def images_in(folder: Path) -> list[Path]:
    """Every image file below `folder`, in the order of their names. Raises TeachError if there is none."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise TeachError(
            expected=f"image files ({', '.join(sorted(SUFFIXES))}) in {folder}",
            came="none" if folder.is_dir() else "no such folder",
            do="name the folder that holds images of good parts",
        )
    return paths


def teach(
    paths: Sequence[Path], engine: Engine, store: Store, who: str, track: Track, region: Region | None = None
) -> Taught:
    """Make a version of the good parts in `paths` (`draft`) and publish it (`publish`)."""
    return publish(draft(paths, engine, store, track, region), engine, store, who)


def draft(paths: Sequence[Path], engine: Engine, store: Store, track: Track, region: Region | None = None) -> Draft:
    """Teach a detector from the good parts in `paths`, with its threshold, and return it as a draft. Without a region,
    that of the version before is kept.

    After an earlier version, its confirmed defects are kept and the gate applies: a draft that would miss one is
    refused. Unreadable files are logged and listed in the draft, not fatal. Raises TeachError with fewer than
    `MIN_PARTS` usable images, ExtractorMismatch over a version of another extractor, UnknownDetector for a kind that is
    not installed.
    """
    extractor, settings = engine.extractor, engine.settings
    learner_of(settings.memory.detector)  # an unknown kind is told before the backbone has seen a thousand images
    images, features, names, refused = _read(paths, extractor, settings, track)
    if len(features) < MIN_PARTS:
        raise TeachError(
            expected=f"at least {MIN_PARTS} usable images of good parts",
            came=f"{len(features)} usable, {len(refused)} refused",
            do="add good parts; a false-reject rate r needs at least 1/r - 1 of them",
        )
    reference = fit_reference(images, features, extractor, settings.memory.seed).arrays()
    head = store.head()
    base = store.load(head) if head else None
    confirmed_defects = base.snapshot.confirmed_defects if base else ConfirmedDefects()
    goods = [GoodPart(name, View(f, image)) for name, f, image in zip(names, features, images, strict=True)]
    fitted = fit(settings.memory.detector, goods, confirmed_defects.defects, settings.limits, settings.memory.seed)
    snapshot = Snapshot(fitted.detector, confirmed_defects, fitted.calibration_set, reference)
    gate = _prove(base, snapshot, fitted.threshold, extractor)
    calibrating = set(fitted.calibration_set.samples)
    pictures = {name: image for name, image in zip(names, images, strict=True) if name in calibrating}
    kept = region_of(head) if head else Region()
    within = kept if region is None else region
    return Draft(base, snapshot, fitted.threshold, gate, tuple(names), refused, pictures, within)


def publish(draft: Draft, engine: Engine, store: Store, who: str) -> Taught:
    """Commit a draft; the service takes it up by itself. Raises StaleParent where another version came first since."""
    base, now_ms = draft.base.version if draft.base else None, engine.clock_ms()
    for name, image in draft.pictures.items():
        keep_taught(engine.kept, name, image)
    version = store.commit(
        draft.snapshot,
        VersionDraft(
            parent=base,
            cause="teach",
            who=who,
            created_at=iso(now_ms),
            extractor=engine.extractor.fingerprint,
            threshold=draft.threshold.to_json(),
            added=tuple(sorted(draft.names)),
            removed=draft.base.snapshot.detector.samples if draft.base else (),
            refused=tuple(sorted(draft.refused)),
            gate=draft.gate,
            feedback_through=base.feedback_through if base else 0,
        ),
    )
    announce(engine.ledger, version, now_ms)
    for name, reason in draft.refused.items():
        engine.ledger.event(now_ms, "teach_refused", file=name, reason=reason)
    return Taught(version, draft.threshold, draft.refused)


def _read(
    paths: Sequence[Path], extractor: Extractor, settings: Settings, track: Track
) -> tuple[list[Image], list[Features], list[str], dict[str, str]]:
    images, features, names, refused = [], [], [], {}
    for path in track(paths, "features"):
        try:
            data = read_allowed(path, (path.parent,), settings.source.max_bytes)
            image = decode(data, extractor.input_px, settings.source.max_pixels)
        except ImageRejected as error:
            refused[path_text(path)] = str(error)
            log.warning("image refused", file=path_text(path), reason=str(error))
            continue
        images.append(image)
        features.append(extractor(image))
        names.append(path_text(path))
    return images, features, names, refused


def _prove(base: Model | None, snapshot: Snapshot, threshold: Threshold, extractor: Extractor) -> dict[str, object]:
    if base is None:
        return {}
    if base.version.extractor != extractor.fingerprint:
        raise ExtractorMismatch(
            expected=f"the extractor of version {base.version.number}, {base.version.extractor[:12]}",
            came=f"the configured one, {extractor.fingerprint[:12]}",
            do="teach into a new state_dir: confirmed defects cannot be compared across extractors",
        )
    outcome = check(Proposal(base, snapshot, threshold, (), (), ()))
    if isinstance(outcome, Hold):
        raise TeachError(
            expected="a version that still finds every confirmed defect",
            came=outcome.reason,
            do="look whether a defective part is among the images; to start over, use a new state_dir",
        )
    return dict(outcome.to_json())
