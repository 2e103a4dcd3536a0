"""A camera behind a GenTL producer as a source of frames, by harvesters."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from daemon.intake.cameras import READ_MS, Camera, CameraLost, Picture, address_of, lost
from daemon.intake.pixel_formats import Pixels, PixelsRejected, image_from_buffer
from daemon.settings.load import ConfigError, Settings
from daemon.streams import RedisStreams

INCOMPLETE = "an image of which a part was lost on its way from the camera: see to cable, network and packet size"


class GenICam:
    """A camera behind a GenTL producer (a .cti file of its maker), by harvesters; `serial` chooses among several."""

    interval_s = 0.0

    def __init__(self, producer: str, serial: str) -> None:
        from harvesters.core import Harvester

        self._serial = serial
        self._harvester = Harvester()
        try:
            # harvesters only logs that a producer cannot be loaded, and then finds no device.
            self._harvester.add_file(producer, check_validity=True)
            self._harvester.update()
            serials = [device.serial_number for device in self._harvester.device_info_list]
            if serial not in serials:
                raise lost(serial, f"cameras {', '.join(serials) or '(none)'} of {producer}")
            self._camera: Any = self._harvester.create({"serial_number": serial})
            self._incomplete = _told_of_incomplete(self._camera)
            self._camera.start()
        except Exception as error:  # harvesters raises what its driver raises
            self._harvester.reset()
            raise _told(serial, error) from error

    def grab(self) -> Pixels | Picture:
        """The next image, as `image_from_buffer` gives it; no pixels where a part of it was lost on its way. Raises
        CameraLost and PixelsRejected."""
        try:
            buffer = self._complete_buffer()
            if buffer is None:
                return Picture(None, INCOMPLETE)
            try:
                return _image(buffer, self._camera.remote_device.node_map)
            finally:
                buffer.parent.queue_buffer(buffer)
        except Exception as error:  # a lost device, by the driver's own class
            raise _told(self._serial, error) from error

    def close(self) -> None:
        """Release the camera and its driver."""
        self._harvester.reset()

    def _complete_buffer(self) -> Any:
        """The next raw GenTL buffer that is complete; None for one that is not.

        harvesters' own images do not serve: padding stays among the pixels, odd widths cannot be unpacked, many formats
        are None. It keeps incomplete buffers to itself, and its `fetch` never ends where every buffer is so.
        """
        self._incomplete.clear()
        until_s = time.monotonic() + READ_MS / 1000
        while (left_s := until_s - time.monotonic()) > 0:
            if (buffer := self._camera.try_fetch(timeout=left_s, is_raw=True)) is not None:
                return buffer
            if self._incomplete:
                return None
        raise lost(self._serial, f"no complete image within {READ_MS / 1000:g} s")


def _told_of_incomplete(camera: Any) -> list[Any]:
    """A list that grows with each incomplete buffer of a camera."""
    from harvesters.core import Callback

    seen: list[Any] = []

    class Noticed(Callback):  # type: ignore[misc]  # harvesters has no types
        def emit(self, context: object = None) -> None:
            seen.append(context)

    camera.add_callback(camera.Events.INCOMPLETE_BUFFER, Noticed())
    return seen


def _image(buffer: Any, nodes: Any) -> Pixels:
    """The image of a raw GenTL buffer; of a multi-part one, its first part. What the producer does not say about the
    buffer, the camera's own features say."""
    from genicam.gentl import PAYLOADTYPE_INFO_IDS, GenericException
    from harvesters.util.pfnc import dict_by_ints

    def known(read: Callable[[], int], otherwise: Callable[[], int]) -> int:
        try:
            return read()
        except GenericException:
            return otherwise()

    if buffer.payload_type == PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_MULTI_PART:
        part = buffer.parts[0]
        number, width, height, x_padding = part.data_format, part.width, part.height, part.x_padding
        start, size = part.data_offset, part.data_size
    else:
        number = known(lambda: buffer.pixel_format, lambda: int(nodes.PixelFormat.get_int_value()))
        width = known(lambda: buffer.width, lambda: nodes.Width.value)
        height = known(lambda: buffer.height, lambda: nodes.Height.value)
        x_padding = known(lambda: buffer.padding_x, lambda: 0)
        start = known(lambda: buffer.image_offset, lambda: 0)
        size = known(lambda: buffer.size_filled, lambda: buffer.size) - start
    data = memoryview(buffer.raw_buffer)[start : start + size]
    return image_from_buffer(data, width, height, dict_by_ints.get(number, f"0x{number:08X}"), x_padding)


def _told(serial: str, error: Exception) -> Exception:
    """The error in our words, where it is not so already."""
    ours = isinstance(error, CameraLost | PixelsRejected)
    return error if ours else lost(serial, f"{type(error).__name__}: {error}")


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
