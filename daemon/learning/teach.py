"""From a folder of good parts to the first version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from daemon.clock import iso
from daemon.inference.engine import Engine
from daemon.intake.decode import SUFFIXES, ImageRejected, decode, named, read_allowed
from daemon.learning.publish import announce
from daemon.ledger.kept import keep_taught
from daemon.settings.load import Settings
from daemon.settings.models import MemorySettings
from drift.reference import refer
from memory.bank import LANDMARKS, gather, subset, with_landmarks
from memory.contrasts import NeighbourCache
from memory.coreset import select
from memory.defects import ConfirmedDefects
from memory.errors import DriftlineError, ExtractorMismatch
from memory.features import Features, Image
from memory.store import Store
from memory.version import CalibrationSet, Model, Snapshot, Version
from policies.admission import Hold, Proposal
from policies.gate import check
from policies.threshold import Threshold, settle

if TYPE_CHECKING:
    from memory.extract import Extractor

MIN_PARTS = 2
Track = Callable[[Sequence[Path], str], Iterable[Path]]
log = structlog.get_logger()


class TeachError(DriftlineError):
    """The taught images cannot make a version."""


@dataclass(frozen=True)
class Draft:
    """What a folder of good parts makes, before anything is durable: the contents of a version, its threshold, what the
    gate found, and the files that could not be used, each with the reason. `base` is the version that it follows, and
    `shown` are the images (H, W, 3) u8 of its calibration parts."""

    base: Model | None
    contents: Snapshot
    threshold: Threshold
    gate: dict[str, object]
    names: tuple[str, ...]
    refused: dict[str, str]
    shown: dict[str, Image]

    @property
    def id(self) -> str:
        """Tells it from any other: what it was made of, after what."""
        parts = [*self.names, str(self.base.version.sha256 if self.base else ""), repr(self.threshold.value)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Taught:
    """The version made, its threshold, and the files that could not be used, each with the reason."""

    version: Version
    threshold: Threshold
    refused: dict[str, str]


def images_in(folder: Path) -> list[Path]:
    """Every image file below `folder`, in the order of their names. Raises TeachError if there is none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise TeachError(
            expected=f"image files ({', '.join(sorted(SUFFIXES))}) in {folder}",
            came="none" if folder.is_dir() else "no such folder",
            do="name the folder that holds images of good parts",
        )
    return found


def teach(paths: Sequence[Path], engine: Engine, store: Store, who: str, track: Track) -> Taught:
    """Make a version of the good parts in `paths` (`draft`) and publish it (`publish`)."""
    return publish(draft(paths, engine, store, track), engine, store, who)


def draft(paths: Sequence[Path], engine: Engine, store: Store, track: Track) -> Draft:
    """What the good parts in `paths` make: they make the bank and, each held out in turn, its threshold.

    Over an earlier version, its confirmed defects are kept and the gate applies: a version that would miss
    one is refused. Unreadable files are told and counted, not fatal. Raises TeachError with fewer than
    `MIN_PARTS` usable images, ExtractorMismatch over a version of another extractor.
    """
    extractor, settings = engine.extractor, engine.settings
    images, features, names, refused = _read(paths, extractor, settings, track)
    if len(features) < MIN_PARTS:
        raise TeachError(
            expected=f"at least {MIN_PARTS} usable images of good parts",
            came=f"{len(features)} usable, {len(refused)} refused",
            do="add good parts; a false-reject rate r needs at least 1/r - 1 of them",
        )
    raw = gather([(name, f.patches) for name, f in zip(names, features, strict=True)])
    nothing = np.empty((0, raw.vectors.shape[1]), dtype=np.float32)
    rows = select(nothing, raw.vectors, settings.memory.bank_patches, settings.memory.seed)
    bank = with_landmarks(subset(raw, rows), raw.vectors[rows[:LANDMARKS]], features)
    chosen = _calibrating(len(features), settings.memory)
    held_out = CalibrationSet(tuple(names[i] for i in chosen), tuple(features[i] for i in chosen))
    patches = [f.patches for f in features]
    reference = refer(images, patches, lambda image: extractor(image).patches, settings.memory.seed).arrays()
    head = store.head()
    base = store.load(head) if head else None
    replay = base.snapshot.confirmed_defects if base else ConfirmedDefects()
    settled, threshold = settle(NeighbourCache(bank), replay, held_out, settings.policy.false_reject_rate)
    contents = Snapshot(settled.bank, replay, held_out, reference, settled)
    gate = _prove(base, contents, threshold, extractor)
    shown = {names[i]: images[i] for i in chosen}
    return Draft(base, contents, threshold, gate, tuple(names), refused, shown)


def publish(made: Draft, engine: Engine, store: Store, who: str) -> Taught:
    """Commit a draft; the service takes it up by itself. Raises StaleParent where another version came first since."""
    base, now_ms = made.base.version if made.base else None, engine.clock_ms()
    for name, image in made.shown.items():
        keep_taught(engine.kept, name, image)
    version = store.commit(
        made.contents,
        parent=base,
        cause="teach",
        who=who,
        created_at=iso(now_ms),
        extractor=engine.extractor.fingerprint,
        threshold=made.threshold.to_json(),
        added=tuple(sorted(made.names)),
        removed=made.base.snapshot.bank.samples if made.base else (),
        refused=tuple(sorted(made.refused)),
        gate=made.gate,
        feedback_through=base.feedback_through if base else 0,
    )
    announce(engine.ledger, version, now_ms)
    for name, reason in made.refused.items():
        engine.ledger.event(now_ms, "teach_refused", file=name, reason=reason)
    return Taught(version, made.threshold, made.refused)


def _read(
    paths: Sequence[Path], extractor: Extractor, settings: Settings, track: Track
) -> tuple[list[Image], list[Features], list[str], dict[str, str]]:
    images, features, names, refused = [], [], [], {}
    for path in track(paths, "features"):
        try:
            data = read_allowed(path, (path.parent,), settings.source.max_bytes)
            image = decode(data, extractor.input_px, settings.source.max_pixels)
        except ImageRejected as error:
            refused[named(path)] = str(error)
            log.warning("image refused", file=named(path), reason=str(error))
            continue
        images.append(image)
        features.append(extractor(image))
        names.append(named(path))
    return images, features, names, refused


def _calibrating(count: int, given: MemorySettings) -> list[int]:
    """The parts that calibrate the threshold: all, or a seeded draw where there are more than are kept."""
    order = np.random.default_rng(given.seed).permutation(count).tolist()
    return sorted(order[: given.held_out_parts])


def _prove(base: Model | None, contents: Snapshot, threshold: Threshold, extractor: Extractor) -> dict[str, object]:
    if base is None:
        return {}
    if base.version.extractor != extractor.fingerprint:
        raise ExtractorMismatch(
            expected=f"the extractor of version {base.version.number}, {base.version.extractor[:12]}",
            came=f"the configured one, {extractor.fingerprint[:12]}",
            do="teach into a new state_dir: confirmed defects cannot be compared across extractors",
        )
    outcome = check(Proposal(base, contents, threshold, (), (), ()))
    if isinstance(outcome, Hold):
        raise TeachError(
            expected="a version that still finds every confirmed defect",
            came=outcome.reason,
            do="look whether a defective part is among the images; to start over, use a new state_dir",
        )
    return dict(outcome.to_json())
