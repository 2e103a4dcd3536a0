"""One category of a data set: a detector is taught its good parts and judges the rest, as `teach` and `score` do."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon import build
from daemon.datasets.depth_frames import frames_of, seeing_depth
from daemon.datasets.labelled import DataSet, DefectRegion, LabelledImage, LabelsError, Mask, Split
from daemon.inference.common_light import judge_in_common_light
from daemon.inference.engine import Engine
from daemon.inference.quickest import AUTO
from daemon.intake.decode import ImageRejected
from daemon.learning.survey import Track
from daemon.learning.teach import teach
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from memory.extract import Extractor
from policies.threshold import Threshold

MAP_PX = 256
UNKNOWN = 1e9  # the score of an image that cannot be judged: nobody lets it pass


@dataclass(frozen=True)
class JudgedImage:
    """A test image with its score and its anomaly map (MAP_PX, MAP_PX), None where it could not be judged."""

    image: LabelledImage
    score: float
    anomaly: npt.NDArray[np.float32] | None

    def regions(self) -> list[DefectRegion]:
        """Its marked defects in the size of the map, their saturation scaled with them."""
        scaled = []
        for region in self.image.regions():
            mask = _scaled(region.mask)
            share = mask.sum() / max(int(region.mask.sum()), 1)
            enough = None if region.saturation_px is None else max(region.saturation_px * share, 1.0)
            scaled.append(DefectRegion(region.kind, mask, enough))
        return scaled


@dataclass(frozen=True)
class Judged:
    """What a detector made of a category: its test images, the threshold that it would judge by, and what it took."""

    images: tuple[JudgedImage, ...]
    threshold: Threshold
    taught: int
    teach_s: float
    frame_ms: float
    peak_mb: float


def judge(data: DataSet, settings: Settings, backbone: Extractor, folder: Path, track: Track) -> Judged:
    """Teach a detector the good training parts of a data set in a state folder of its own, and judge its test images
    (of a set without any, those for validation) in the light that they have in common. Raises LabelsError where there
    is nothing to test, TeachError as `teach` does."""
    tested = [replace(one, page=settings.source.page) for one in data.of(Split.TEST) or data.of(Split.VALIDATION)]
    if not tested:
        raise LabelsError(expected="test images", came="none", do="name the folder as it was unpacked")
    deep = any(one.depth for one in data.images) and settings.extractor.scorer is None  # which sees colours alone
    frames = frames_of(data, folder / "frames") if deep else {one.path: one.path for one in data.images}
    if deep:
        settings = settings.model_copy(update={"source": seeing_depth(settings.source)})
    opened = open_state(folder)
    try:
        # Each folder is new: to measure backends in it would take longer than to judge the set.
        an_engine = build.reference_engine if settings.extractor.backend == AUTO else build.engine
        engine = an_engine(settings, opened, backbone)
        started = time.perf_counter()
        taught = teach([frames[one.path] for one in data.goods], engine, opened.store, "bench", track)
        teach_s = time.perf_counter() - started
        engine.activate(opened.store.load(taught.version))
        judge_in_common_light(engine, tested, lambda one: engine.decode(frames[one.path].read_bytes()))
        started, judged = time.perf_counter(), []
        for one, _ in zip(tested, track([one.path for one in tested], "test images"), strict=True):
            judged.append(_judged(one, frames[one.path], engine))
        frame_ms = 1000 * (time.perf_counter() - started) / len(tested)
    finally:
        opened.ledger.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Judged(tuple(judged), taught.threshold, len(taught.version.added), teach_s, frame_ms, peak_mb)


def _judged(one: LabelledImage, frame: Path, engine: Engine) -> JudgedImage:
    active = engine.active
    assert active is not None  # noqa: S101  # it was activated
    try:
        scored = engine.score_image(engine.decode(frame.read_bytes()), active)
    except ImageRejected:
        return JudgedImage(one, UNKNOWN, None)
    anomaly = cv2.resize(scored.anomaly, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
    return JudgedImage(one, scored.score.value, np.asarray(anomaly, dtype=np.float32))


def _scaled(mask: Mask) -> Mask:
    """A mask in the size of the map: marked wherever any of it is, or thin cracks would vanish. One axis after the
    other, for OpenCV averages only where both shrink."""
    height, width = mask.shape
    values = mask.astype(np.float32)
    tall = cv2.resize(values, (width, MAP_PX), interpolation=_by(height))
    return np.asarray(cv2.resize(tall, (MAP_PX, MAP_PX), interpolation=_by(width)) > 0)


def _by(size_px: int) -> int:
    return cv2.INTER_AREA if size_px > MAP_PX else cv2.INTER_NEAREST


def seen(judged: Sequence[JudgedImage]) -> list[JudgedImage]:
    """Those that could be judged and whose defects are marked, or that are good."""
    return [one for one in judged if one.anomaly is not None and (one.image.annotation or not one.image.defective)]
