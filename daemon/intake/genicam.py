"""A camera behind a GenTL producer as a source of frames, by harvesters."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from daemon.intake.cameras import READ_MS, Camera, address_of, lost
from daemon.settings.load import ConfigError, Settings
from daemon.streams import RedisStreams
from memory.features import Image


class GenICam:
    """A camera behind a GenTL producer (a .cti file of its maker), by harvesters; `serial` chooses among several."""

    FORMATS = ("Mono8", "RGB8", "BGR8")

    def __init__(self, producer: str, serial: str) -> None:
        from harvesters.core import Harvester

        self._serial = serial
        self._harvester = Harvester()
        try:
            self._harvester.add_file(producer)
            self._harvester.update()
            self._camera: Any = self._harvester.create({"serial_number": serial})
            self._camera.start()
        except Exception as error:  # harvesters raises what its driver raises
            self._harvester.reset()
            raise lost(serial, f"{type(error).__name__}: {error}") from error

    def grab(self) -> Image:
        """The next image (H, W, 3) u8, RGB. Raises CameraLost."""
        try:
            with self._camera.fetch(timeout=READ_MS / 1000) as buffer:
                part = buffer.payload.components[0]
                kind, flat = part.data_format, np.array(part.data, dtype=np.uint8)
                image = flat.reshape(part.height, part.width, -1)  # (H * W * C,) -> (H, W, C)
        except Exception as error:  # a timeout or a lost device, by the driver's own class
            raise lost(self._serial, f"{type(error).__name__}: {error}") from error
        if kind not in self.FORMATS:
            raise lost(self._serial, f"images of format {kind}; set PixelFormat to one of {', '.join(self.FORMATS)}")
        if kind == "Mono8":
            return np.repeat(image, 3, axis=2)  # (H, W, 1) -> (H, W, 3)
        return np.ascontiguousarray(image[:, :, ::-1] if kind == "BGR8" else image)

    def close(self) -> None:
        """Release the camera and its driver."""
        self._camera.stop()
        self._camera.destroy()
        self._harvester.reset()


def open_source(settings: Settings, _: RedisStreams) -> Camera:
    """The camera of a maker's producer. Raises ConfigError where camera or producer are not named, or harvesters is
    not installed."""
    address, producer = address_of(settings), settings.source.producer
    if producer is None:
        raise ConfigError(expected="source.producer", came="no .cti file", do="name the maker's file in config.yaml")
    if find_spec("harvesters") is None:
        raise ConfigError(
            expected="harvesters, which GenICam needs",
            came="it is not installed",
            do="pip install 'driftline[genicam]'",
        )
    return Camera(settings.line, lambda: GenICam(str(producer), address), settings.source.every_ms)
