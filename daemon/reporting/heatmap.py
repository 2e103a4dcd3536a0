"""Heatmaps: an anomaly map over its image, on a scale that calibration parts fix."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image
from policies.threshold import Threshold

CALM = 0.5
STEEPEST = 0.9  # of the threshold: parts that hardly differ must not make a scale of two colours
OPACITY = 0.6


def overlay(image: Image, anomaly: npt.NDArray[np.float32], threshold: Threshold) -> Image:
    """The image (H, W, 3) u8 with its map (rows, columns) laid over: transparent below the `CALM` quantile of the
    calibration scores, of middle colour at the threshold, and brightest as far above it again. The scale does not
    depend on the image, so a calm part looks calm.
    """
    height, width = image.shape[:2]
    smooth = cv2.resize(anomaly, (width, height), interpolation=cv2.INTER_LINEAR)
    calm = min(float(np.quantile(threshold.scores, CALM)), STEEPEST * threshold.value)
    heat = np.clip((smooth - calm) / (2 * (threshold.value - calm)), 0, 1)
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    alpha = (OPACITY * np.sqrt(heat))[:, :, None]  # (H, W) -> (H, W, 1)
    laid: Image = np.rint(image * (1 - alpha) + colours * alpha).astype(np.uint8)
    return laid
