"""Teaching: a version from a folder of good parts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import structlog

from daemon.clock import iso
from daemon.inference.engine import Engine
from daemon.inference.sight import Sight
from daemon.intake.decode import SUFFIXES, ImageRejected, path_text, read_allowed
from daemon.intake.positioning import template_arrays
from daemon.learning.publish import announce
from daemon.learning.seen_again import seen_on
from daemon.learning.spool import Spool
from daemon.learning.survey import LEFT_OUT, TeachError, Track, apart, enough, survey
from daemon.learning.taught_depth import depth_window
from daemon.learning.taught_parts import TaughtFile, common_position, read_parts
from daemon.ledger.kept import keep_taught
from drift.reference import fit_reference
from memory.canvas import Canvas, canvas_of
from memory.defects import ConfirmedDefects
from memory.errors import ExtractorMismatch, UnknownDetector
from memory.exported.detector import EXPORTED
from memory.geometry import Geometry
from memory.learners import learner_of
from memory.progress import followed_by
from memory.region import Region, region_of
from memory.store import Store
from memory.version import Model, Snapshot, Version, VersionDraft
from policies.admission import Hold, Proposal
from policies.fitting import fit
from policies.gate import check
from policies.taught_set import TaughtSet, examine
from policies.threshold import Threshold

if TYPE_CHECKING:
    from memory.extract import Extractor

TEACHING = "teach-"  # begins the name of the folder in which a teach works
LOOKED_AT_TILES = 4  # of each image under a simulated cause of drift
log = structlog.get_logger()


@dataclass(frozen=True)
class Draft:
    """A taught version before it is published: its snapshot, threshold and gate record, the names of its parts, and the
    files that could not be used, each with the reason. `base` is the version that it follows, `sight` how it sees
    images, `calibrating` are the files of its calibration parts, by name, and `taught_set` says what is odd about
    them."""

    base: Model | None
    sight: Sight
    snapshot: Snapshot
    threshold: Threshold
    gate: dict[str, object]
    names: tuple[str, ...]
    refused: dict[str, str]
    calibrating: dict[str, TaughtFile]
    taught_set: TaughtSet

    @property
    def region(self) -> Region:
        """Where it judges."""
        return self.sight.canvas.geometry.region

    @property
    def id(self) -> str:
        """An id made from the draft's parts, base, threshold and geometry."""
        parts = [*self.names, str(self.base.version.sha256 if self.base else ""), repr(self.threshold.value)]
        parts.append(repr(self.sight.canvas.geometry))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Taught:
    """A published version, the canvas of its geometry, its threshold, what is odd about its calibration parts, and the
    files that could not be used, each with the reason."""

    version: Version
    canvas: Canvas
    threshold: Threshold
    taught_set: TaughtSet
    refused: dict[str, str]


def images_in(folder: Path) -> list[Path]:
    """Every image file below `folder`, in the order of their names; what else there is, is logged. Raises TeachError if
    there is none."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    paths = [p for p in files if p.suffix.lower() in SUFFIXES]
    if len(paths) < len(files):
        others = [path_text(p) for p in files if p.suffix.lower() not in SUFFIXES]
        log.warning("files that are no images of a known kind are left out", count=len(others), first=others[0])
    if not paths:
        raise TeachError(
            expected=f"image files ({', '.join(sorted(SUFFIXES))}) in {folder}",
            came="none" if folder.is_dir() else "no such folder",
            do="name the folder that holds images of good parts",
        )
    return paths


def teach(
    paths: Sequence[Path],
    engine: Engine,
    store: Store,
    who: str,
    track: Track,
    region: Region | None = None,
    smallest_defect_px: float | None = None,
    without: Collection[str] = (),
) -> Taught:
    """Make a version of the good parts in `paths` (`draft`) and publish it (`publish`)."""
    return publish(draft(paths, engine, store, track, region, smallest_defect_px, without), engine, store, who)


def draft(
    paths: Sequence[Path],
    engine: Engine,
    store: Store,
    track: Track,
    region: Region | None = None,
    smallest_defect_px: float | None = None,
    without: Collection[str] = (),
    detector: str | None = None,
) -> Draft:
    """Teach a `detector` of this kind, or of `memory.detector`, from the good parts in `paths`, with its threshold, and
    return it as a draft.

    It judges the `region`, or that of the version before, finely enough for the smallest defect to find, or as
    `settings.scene` says where none is named. After an earlier version, its confirmed defects are kept and
    the gate applies: a draft that would miss one is refused. Files that cannot be used are logged and listed in the
    draft, not fatal, and so are those that were looked at and are taught `without`, by their names. Raises TeachError
    with not `enough` usable images and for a name that no file has, GeometryError for a region without a
    patch, ExtractorMismatch over a version of another extractor, UnknownDetector for a kind that is not installed.
    """
    extractor, settings = engine.extractor, engine.settings
    kind = detector or settings.memory.detector
    if kind == EXPORTED and extractor.scorer is None:
        raise UnknownDetector(
            expected="a kind of detector that can be taught here",
            came=f"{kind}, and no exported model",
            do="set extractor.scorer to its file",
        )
    learner_of(kind)  # an unknown kind is told before the backbone has seen a thousand images
    head = store.head()
    base = store.load(head) if head else None
    if base is not None:
        _same_extractor(base, extractor)
        region = region or region_of(base.version)
    kept, left_out = apart(paths, without)
    found = survey(kept, settings.source, track)
    found.refused.update(dict.fromkeys(map(path_text, left_out), LEFT_OUT))
    enough(len(found.usable), len(found.refused))
    scene = settings.scene.for_defects(smallest_defect_px)
    geometry = found.geometry(extractor.shapes, region or Region(), scene, settings.source.bits)
    if settings.source.depth_page is not None:
        before = Geometry.of(base.version.geometry, extractor.input_px).depth if base else None
        geometry = replace(geometry, depth=depth_window(found, geometry, extractor, settings.source, before))
    canvas = canvas_of(geometry, extractor.shapes)
    sight = Sight(canvas, common_position(found, canvas, settings.source) if settings.scene.align else None)
    with TemporaryDirectory(dir=settings.state_dir, prefix=TEACHING) as folder, followed_by(track):
        spool = Spool(canvas.tiling, Path(folder))
        files, goods = read_parts(found, sight, extractor, settings, track, spool)
        enough(len(goods), len(found.refused))
        look = partial(
            extractor.features, tiling=canvas.tiling.some(LOOKED_AT_TILES), depth_weight=geometry.depth_weight
        )
        reference = fit_reference(spool.images, spool.features, look, settings.memory.seed, canvas.inside)
        defects = seen_on(engine, base, sight, reference) if base else ConfirmedDefects()
        fitted = fit(kind, goods, defects.defects, settings.limits, settings.memory.seed, spool.features)
    arrays = reference.arrays() | template_arrays(sight.template)
    snapshot = Snapshot(fitted.detector, defects, fitted.calibration_set, arrays)
    gate = _prove(base, snapshot, fitted.threshold)
    calibrating = {name: files[name] for name in fitted.calibration_set.samples}
    odd = examine(fitted.calibration_set, fitted.scores)
    return Draft(base, sight, snapshot, fitted.threshold, gate, tuple(files), found.refused, calibrating, odd)


def publish(draft: Draft, engine: Engine, store: Store, who: str) -> Taught:
    """Commit a draft; the service takes it up by itself. Raises StaleParent where another version came first since."""
    base, now_ms = draft.base.version if draft.base else None, engine.clock_ms()
    for name, file in draft.calibrating.items():  # what needs one later that is not kept, says that it is gone
        try:
            data = read_allowed(file.path, (file.path.parent,), engine.settings.source.max_bytes)
        except ImageRejected as error:
            log.warning("taught image not kept", file=name, reason=str(error))
            continue
        if hashlib.sha256(data).hexdigest() == file.sha256:
            keep_taught(engine.kept, name, data)
        else:
            log.warning("taught image not kept", file=name, reason="it has changed since it was taught")
    version = store.commit(
        draft.snapshot,
        VersionDraft(
            parent=base,
            cause="teach",
            who=who,
            created_at=iso(now_ms),
            extractor=engine.extractor.fingerprint,
            geometry=draft.sight.canvas.geometry.to_json(),
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
    return Taught(version, draft.sight.canvas, draft.threshold, draft.taught_set, draft.refused)


def _same_extractor(base: Model, extractor: Extractor) -> None:
    if base.version.extractor != extractor.fingerprint:
        raise ExtractorMismatch(
            expected=f"the extractor of version {base.version.number}, {base.version.extractor[:12]}",
            came=f"the configured one, {extractor.fingerprint[:12]}",
            do="teach into a new state_dir: confirmed defects cannot be compared across extractors",
        )


def _prove(base: Model | None, snapshot: Snapshot, threshold: Threshold) -> dict[str, object]:
    if base is None:
        return {}
    outcome = check(Proposal(base, snapshot, threshold, (), (), ()))
    if isinstance(outcome, Hold):
        raise TeachError(
            expected="a version that still finds every confirmed defect",
            came=outcome.reason,
            do="look whether a defective part is among the images; to start over, use a new state_dir",
        )
    return dict(outcome.to_json())
