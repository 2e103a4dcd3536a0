"""The row of figures of one judged category: rankings of images and pixels, and what the threshold made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from daemon.datasets.annotations import Boxes
from daemon.datasets.labelled import union
from daemon.evaluation.boxes import boxed, mean_average_precision
from daemon.evaluation.judged import MAP_PX, Judged, seen
from daemon.evaluation.metrics import aupro, auroc, average_precision, dice, f1_max, seg_f1, spro

RATES = (0.01, 0.02, 0.05)


def figures(judged: Judged) -> dict[str, Any]:
    """All figures, as JSON; None where a figure has no meaning for the set, as without masks."""
    scores = np.array([one.score for one in judged.images])
    bad = np.array([one.image.defective for one in judged.images])
    threshold = judged.threshold
    return {
        "taught": judged.taught,
        "good": int((~bad).sum()),
        "bad": int(bad.sum()),
        "not_judged": sum(one.anomaly is None for one in judged.images),
        "auroc": auroc(scores, bad),
        "ap": average_precision(scores, bad),
        "f1_max": f1_max(scores, bad),
        **_pixel_figures(judged),
        "box_map": _box_map(judged),
        "false_rejects": {str(rate): _share(scores[~bad] > threshold.at(rate)) for rate in RATES},
        "recall": {str(rate): _share(scores[bad] > threshold.at(rate)) for rate in RATES},
        "recall_by_kind": _by_kind(judged),
        "teach_s": round(judged.teach_s, 1),
        "frame_ms": round(judged.frame_ms, 1),
        "peak_mb": round(judged.peak_mb),
    }


def _pixel_figures(judged: Judged) -> dict[str, float | None]:
    shown = seen(judged.images)
    if not any(one.image.defective for one in shown):
        return dict.fromkeys(("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro", "spro", "seg_f1", "dice"))
    maps = [one.anomaly for one in shown if one.anomaly is not None]
    regions = [one.regions() for one in shown]  # mask files are read once
    masks = [union(each, MAP_PX, MAP_PX) for each in regions]
    values, marked = np.concatenate([each.ravel() for each in maps]), np.concatenate([each.ravel() for each in masks])
    cut = judged.threshold.value
    return {
        "pixel_auroc": auroc(values, marked),
        "pixel_ap": average_precision(values, marked),
        "pixel_f1_max": f1_max(values, marked),
        "aupro": aupro(maps, masks),
        "spro": spro(maps, regions),
        "seg_f1": seg_f1(maps, masks, cut),
        "dice": dice([each > cut for each in maps], masks),
    }


def _box_map(judged: Judged) -> float | None:
    """mAP of the regions that more than the largest of `RATES` would flag; None where no defect has a box."""
    shown = [(one.anomaly, one.image.annotation) for one in seen(judged.images) if one.anomaly is not None]
    drawn = [[each.box for each in told.boxes] if isinstance(told, Boxes) else [] for _, told in shown]
    cut = judged.threshold.at(max(RATES))
    return mean_average_precision([boxed(anomaly, cut) for anomaly, _ in shown], drawn)


def _by_kind(judged: Judged) -> dict[str, float | None]:
    kinds = sorted({one.image.kind for one in judged.images if one.image.defective})
    scores = {kind: np.array([one.score for one in judged.images if one.image.kind == kind]) for kind in kinds}
    return {kind: _share(scores[kind] > judged.threshold.value) for kind in kinds}


def _share(flagged: np.ndarray[Any, np.dtype[np.bool_]]) -> float | None:
    return float(flagged.mean()) if len(flagged) else None
