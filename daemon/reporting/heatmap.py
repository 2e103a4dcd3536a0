"""Heatmaps: an anomaly map over its image, on a scale that calibration parts fix, in the region that is judged."""

from __future__ import annotations

import cv2
import numpy as np

from memory.features import Image, Map
from memory.region import Inside
from policies.threshold import Threshold

CALM = 0.5
STEEPEST = 0.9  # of the threshold: parts that hardly differ must not make a scale of two colours
OPACITY = 0.6
DIMMED = 0.35  # of the light outside the region
LINE = (80, 200, 255)  # no colour of the map
LINES_A_SIDE = 400


def overlay(image: Image, anomaly: Map, threshold: Threshold, inside: Inside | None) -> Image:
    """The image (H, W, 3) u8 with its map (rows, columns) laid over: transparent below the `CALM` quantile of the
    calibration scores, of middle colour at the threshold, and brightest as far above it again. The scale does not
    depend on the image, so a calm part looks calm. What is not `inside` (H, W) is dimmed, with a line around it.
    """
    height, width = image.shape[:2]
    smooth = cv2.resize(anomaly, (width, height), interpolation=cv2.INTER_LINEAR)
    calm = min(float(np.quantile(threshold.scores, CALM)), STEEPEST * threshold.value)
    heat = np.clip((smooth - calm) / (2 * (threshold.value - calm)), 0, 1)
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    alpha = (OPACITY * np.sqrt(heat))[:, :, None]  # (H, W) -> (H, W, 1)
    laid: Image = np.rint(image * (1 - alpha) + colours * alpha).astype(np.uint8)
    return laid if inside is None else _within(laid, inside)


def _within(image: Image, inside: Inside) -> Image:
    shown = np.where(inside[:, :, None], image, np.rint(image * DIMMED)).astype(np.uint8)
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, outlines, -1, LINE, max(round(max(inside.shape) / LINES_A_SIDE), 1))
    return shown
