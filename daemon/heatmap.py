"""An anomaly map over its image, on a scale that is fixed by the threshold."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

COLD, HOT = 0.5, 1.5
OPACITY = 0.6


def overlay(image: Image, anomaly: npt.NDArray[np.float32], threshold: float) -> Image:
    """The image (H, W, 3) u8 with its map (rows, columns) laid over: clear below `COLD` × threshold, brightest
    from `HOT` × threshold on. The scale never follows the image, so a calm part looks calm.
    """
    height, width = image.shape[:2]
    smooth = cv2.resize(anomaly, (width, height), interpolation=cv2.INTER_LINEAR)
    heat = np.clip((smooth / threshold - COLD) / (HOT - COLD), 0, 1)
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    alpha = (OPACITY * np.sqrt(heat))[:, :, None]  # (H, W) -> (H, W, 1)
    laid: Image = np.rint(image * (1 - alpha) + colours * alpha).astype(np.uint8)
    return laid
