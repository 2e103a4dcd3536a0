"""The field's figures of scores and anomaly maps; rankings by scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from daemon.datasets.labelled import DefectRegion, Mask, union

Maps = Sequence[npt.NDArray[np.float32]]
Scores = npt.ArrayLike


def auroc(scores: Scores, bad: npt.ArrayLike) -> float | None:
    """The area under the ROC curve: how often a bad one scores above a good one, ties counted half. None where there
    are not both."""
    truth = np.asarray(bad, dtype=bool)
    return float(roc_auc_score(truth, np.asarray(scores, dtype=float))) if _both(truth) else None


def average_precision(scores: Scores, bad: npt.ArrayLike) -> float | None:
    """The mean precision over recall, without interpolation. None where there are not both."""
    truth = np.asarray(bad, dtype=bool)
    return float(average_precision_score(truth, np.asarray(scores, dtype=float))) if _both(truth) else None


def f1_max(scores: Scores, bad: npt.ArrayLike) -> float | None:
    """The best F1 that any threshold gives: chosen by the answers, so no promise. None where there are not both."""
    truth = np.asarray(bad, dtype=bool)
    if not _both(truth):
        return None
    precision, recall, _ = precision_recall_curve(truth, np.asarray(scores, dtype=float))
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)))


def aupro(maps: Maps, masks: Sequence[Mask], limit: float = 0.3) -> float | None:
    """The area under the per-region overlap over the rate of false-positive pixels up to `limit`, scaled to 1. None
    where nothing is marked.

    Bergmann et al., "The MVTec Anomaly Detection Dataset" (IJCV 2021), section 5.3: each connected region of each mask
    weighs the same; every pixel that is not marked may be a false positive.
    """
    regions = [[DefectRegion("", each) for each in _connected(mask)] for mask in masks]
    return _overlap_area(maps, regions, [anomaly[~mask] for anomaly, mask in zip(maps, masks, strict=True)], limit)


def spro(maps: Maps, regions: Sequence[Sequence[DefectRegion]], limit: float = 0.05) -> float | None:
    """AUPRO with saturation, as MVTec LOCO is judged: a region is found whole once `saturation_px` of it are. None
    where nothing is marked.

    Bergmann et al., "Beyond Dents and Scratches" (IJCV 2022), section 4: regions are the annotated defects, connected
    or not, and only pixels outside of all of them may be false positives.
    """
    outside = [a[~union(marked, *a.shape)] for a, marked in zip(maps, regions, strict=True)]
    return _overlap_area(maps, regions, outside, limit)


def seg_f1(maps: Maps, masks: Sequence[Mask], threshold: float) -> float | None:
    """F1 of all pixels together at one threshold, which must be set without these images: MVTec AD 2's figure (SegF1).
    None where nothing is marked."""
    true = sum(int((anomaly > threshold)[mask].sum()) for anomaly, mask in zip(maps, masks, strict=True))
    found = sum(int((anomaly > threshold).sum()) for anomaly in maps)
    marked = sum(int(mask.sum()) for mask in masks)
    return 2 * true / (found + marked) if marked else None


def dice(found: Sequence[Mask], masks: Sequence[Mask]) -> float:
    """The mean Dice coefficient of the images, 1 where nothing is marked and nothing was found: Severstal's figure, for
    one kind of defect."""
    shares = []
    for one, mask in zip(found, masks, strict=True):
        both = int(one.sum()) + int(mask.sum())
        shares.append(2 * int((one & mask).sum()) / both if both else 1.0)
    return float(np.mean(shares))


def _both(truth: npt.NDArray[np.bool_]) -> bool:
    return bool(truth.any() and not truth.all())


def _connected(mask: Mask) -> Iterator[Mask]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    for number in range(1, count):
        yield np.asarray(labels == number)


def _overlap_area(
    maps: Maps,
    regions: Sequence[Sequence[DefectRegion]],
    outside: Sequence[npt.NDArray[np.float32]],
    limit: float,
) -> float | None:
    """The area under the mean overlap of the regions over the rate of pixels outside that reach a threshold, from rate
    0 to `limit`, over `limit`. Exact: every value of any pixel is a threshold. None without regions, or without pixels
    outside."""
    values, gains = [], []
    for anomaly, marked in zip(maps, regions, strict=True):
        for region in marked:
            if not region.mask.any():
                continue
            inside = np.sort(anomaly[region.mask])[::-1]
            whole = min(region.saturation_px or len(inside), len(inside))
            # What the n-th pixel adds to the overlap: 1/whole until that many are found, then nothing.
            values.append(inside)
            gains.append(np.clip(whole - np.arange(len(inside)), 0, 1) / whole)
    if not values:
        return None
    flat, gain = np.concatenate(values), np.concatenate(gains) / len(values)
    good = np.sort(np.concatenate(outside))
    if not len(good):
        return None
    order = np.argsort(-flat, kind="stable")
    last = np.append(flat[order][1:] != flat[order][:-1], True)  # equal values are found together
    cut, after = flat[order][last], np.cumsum(gain[order])[last]
    before = np.append(0.0, after[:-1])
    # Down to just above each value only the rate grows; at the value itself both do.
    above, at = (1 - np.searchsorted(good, cut, side=side) / len(good) for side in ("right", "left"))
    rate = np.append(0.0, np.column_stack([above, at]).ravel())
    overlap = np.append(0.0, np.column_stack([before, after]).ravel())
    within = rate <= limit
    xs, ys = np.append(rate[within], limit), np.append(overlap[within], np.interp(limit, rate, overlap))
    return float(np.sum(np.diff(xs) * (ys[1:] + ys[:-1]) / 2) / limit)
