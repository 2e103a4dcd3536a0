"""The images of judged frames as pages show them, drawn once for all viewers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from enum import StrEnum

import cv2

from daemon.console.line import LineView
from daemon.intake.decode import ImageRejected, pictured
from daemon.intake.depth import relief
from daemon.ledger import provenance
from daemon.ledger.frames import frame_numbered
from daemon.reporting.heatmap import overlay
from memory.features import Image

PICTURE_PX = 1_024
JPEG_QUALITY = 88
DRAWN = 128


class Kind(StrEnum):
    """What a picture of a frame shows, by its name in addresses."""

    IMAGE = "image"
    HEAT = "heat"
    DEPTH = "depth"


class FrameImages:
    """The kept images of a line's frames as JPEGs, of which the newest `DRAWN` stay in memory."""

    def __init__(self, line: LineView) -> None:
        self._line = line
        self._drawn: OrderedDict[tuple[int, Kind], bytes] = OrderedDict()
        self._drawing = threading.Lock()

    def drawn(self, seq: int, kind: Kind) -> bytes | None:
        """The JPEG of `jpeg` if it is ready, or else None."""
        return self._drawn.get((seq, kind))

    def jpeg(self, seq: int, kind: Kind) -> bytes | None:
        """A frame as its camera saw it, with its anomaly map, or its depth; None where it is gone or has none."""
        with self._drawing:
            if (seq, kind) not in self._drawn:
                pixels = self._picture(seq, kind)
                if pixels is None:
                    return None
                self._drawn[seq, kind] = encoded(pixels)
                while len(self._drawn) > DRAWN:
                    self._drawn.popitem(last=False)
            return self._drawn[seq, kind]

    def _picture(self, seq: int, kind: Kind) -> Image | None:
        """The pixels (H, W, 3) u8. The scale of the map is fixed by the good parts of the version that judged it, so
        that a calm part looks calm; where it did not judge, the picture is dimmed."""
        state = self._line.state
        frame = frame_numbered(state.ledger, seq)
        data = state.kept.image(frame.kept) if frame and frame.kept else None
        if frame is None or frame.kept is None or data is None:
            return None
        source = self._line.settings.source
        try:
            if kind is Kind.DEPTH:
                geometry = provenance.depth_behind(state.store, frame)
                return relief(data, geometry, source) if geometry else None
            bits = provenance.bits_behind(state.store, frame)
            image = pictured(data, PICTURE_PX, source, bits)
        except ImageRejected:
            return None
        anomaly = state.kept.anomaly(frame.kept) if kind is Kind.HEAT else None
        threshold = provenance.threshold_behind(state.store, frame)
        if anomaly is None or threshold is None:
            return image
        return overlay(image, anomaly, threshold, provenance.inside_behind(state.store, frame, image.shape[:2]))


def encoded(pixels: Image) -> bytes:
    """Pixels (H, W, 3) u8 as a JPEG."""
    return cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
