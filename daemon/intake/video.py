"""A camera that sends a stream (RTSP, HTTP, a file), by PyAV, which tells what FFmpeg has made up for what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from daemon.intake.cameras import READ_MS, Picture, lost
from daemon.intake.pixel_formats import Pixels
from daemon.settings.addresses import without_password

OPEN_S, READ_S = 5.0, READ_MS / 1000
LOST = "a picture whose lost or damaged parts the decoder made up; whole ones begin with the next key frame"
FROZEN = "the very same picture in three key frames or more; look whether the camera hangs"
MOST_SAME = 2


class Video:
    """A camera's stream. Motion JPEG is given as the files that it is made of; other streams as pixels."""

    interval_s = 0.0

    def __init__(self, address: str) -> None:
        self._name = without_password(address)
        try:
            self._container: Any = av.open(address, options={"rtsp_transport": "tcp"}, timeout=(OPEN_S, READ_S))
        except (OSError, av.FFmpegError) as error:  # some of PyAV's errors are no OSError
            raise lost(self._name, f"it cannot be opened: {_told(error)}") from None  # its text holds the address
        self._images = self._read()

    def grab(self) -> bytes | Picture:
        """The next image: a JPEG file, or a picture (H, W, 3) u8, RGB. Raises CameraLost."""
        try:
            return next(self._images)
        except StopIteration:
            raise lost(self._name, "it gives no image any more") from None
        except (OSError, av.FFmpegError) as error:
            raise lost(self._name, f"it gives no image any more: {_told(error)}") from None

    def close(self) -> None:
        """Release the camera."""
        self._container.close()

    def _read(self) -> Iterator[bytes | Picture]:
        if not self._container.streams.video:
            raise lost(self._name, "a stream without pictures")
        stream = self._container.streams.video[0]
        if stream.codec_context.name == "mjpeg":
            yield from (bytes(packet) for packet in self._container.demux(stream) if packet.size)
            return
        stream.codec_context.thread_count = 1  # by several, FFmpeg does not tell which pictures are damaged
        damaged, watch = False, KeyPictures()
        for packet in self._container.demux(stream):
            try:
                pictures = packet.decode()
            except av.InvalidDataError:
                damaged = True
                continue
            for picture in pictures:
                # What is made up for one picture goes on into those that are told as changes of it.
                damaged = picture.is_corrupt or (damaged and not picture.key_frame)
                pixels = np.ascontiguousarray(picture.to_ndarray(format="rgb24"))
                if picture.key_frame:
                    watch.look(pixels)
                yield Picture(pixels, LOST if damaged else FROZEN if watch.frozen else None)


class KeyPictures:
    """The key pictures of a stream, each encoded without a look at others: of a sensor that works no two are the same,
    for its noise is not. The pictures in between may be, where an encoder tells that nothing has changed."""

    def __init__(self) -> None:
        self.frozen = False
        self._newest: Pixels | None = None
        self._same = 0

    def look(self, pixels: Pixels) -> None:
        """The next key picture (H, W, 3) u8."""
        self._same = self._same + 1 if self._newest is not None and np.array_equal(pixels, self._newest) else 0
        self._newest, self.frozen = pixels, self._same >= MOST_SAME


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
