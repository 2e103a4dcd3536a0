"""The numbers that benchmarks report of scores and anomaly maps."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def auroc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Area under the ROC curve: the Mann–Whitney statistic, ties counted half (Hanley and McNeil 1982)."""
    values, truth = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upto = np.cumsum(counts)
    rank = (upto - (counts - 1) / 2)[inverse]
    n = int(truth.sum())
    return float((rank[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def average_precision(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """The mean of the precision at each positive, from the highest score down; equal scores come together (Manning,
    Raghavan and Schütze, "Introduction to Information Retrieval", 2008, section 8.4)."""
    values, truth = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    at = values[truth][:, None]
    return float(np.mean((values[truth][None, :] >= at).sum(axis=1) / (values[None, :] >= at).sum(axis=1)))


def aupro(maps: list[npt.NDArray[np.float32]], masks: list[npt.NDArray[np.bool_]], limit: float = 0.3) -> float:
    """Area under the per-region overlap curve up to a pixel false-positive rate of `limit`, scaled to 1.

    Bergmann et al., "The MVTec Anomaly Detection Dataset" (IJCV 2021), section 5.3: each connected region of
    each mask weighs the same.
    """
    weights, values, good = [], [], []
    regions = 0
    for anomaly, truth in zip(maps, masks, strict=True):
        count, labels = cv2.connectedComponents(truth.astype(np.uint8))
        good.append(anomaly[~truth])
        for region in range(1, count):
            inside = anomaly[labels == region]
            values.append(inside)
            weights.append(np.full(len(inside), 1 / len(inside)))
            regions += 1
    flat, weight = np.concatenate(values), np.concatenate(weights) / regions
    background = np.sort(np.concatenate(good))
    order = np.argsort(-flat, kind="stable")
    overlap = np.cumsum(weight[order])
    rate = 1 - np.searchsorted(background, flat[order], side="left") / len(background)
    rate, overlap = np.concatenate([[0], rate]), np.concatenate([[0], overlap])
    inside = rate <= limit
    edge = np.interp(limit, rate, overlap)
    xs, ys = np.concatenate([rate[inside], [limit]]), np.concatenate([overlap[inside], [edge]])
    return float(np.trapezoid(ys, xs) / limit)
