"""Parts that come at a rate, operators who answer what is asked, and how long each part waits for its verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import redis

from daemon.datasets.rendered import Flaw, Scene, part
from daemon.learning import answers
from daemon.settings.load import Settings
from daemon.streams import Stream

READ_MS = 500


@dataclass(frozen=True)
class Part:
    """A part's image file, and what it really is."""

    image: bytes
    bad: bool


def parts(number: int) -> list[Part]:
    """Rendered parts, every tenth flawed."""
    flaws = list(Flaw)
    flawed = [flaws[n // 10 % len(flaws)] if n % 10 == 9 else None for n in range(number)]
    images = (part(70_000 + n, Scene(), flaw) for n, flaw in enumerate(flawed))
    files = [cv2.imencode(".png", image[:, :, ::-1])[1].tobytes() for image in images]
    return [Part(file, flaw is not None) for file, flaw in zip(files, flawed, strict=True)]


@dataclass(frozen=True)
class Answered:
    """A part's verdict: when it was read by the monotonic clock, and how long after the part was sent."""

    at_s: float
    waited_ms: float
    verdict: str
    version: str


class Feeding:
    """A line that gets a part every `every_s`, by a thread each for sending and for reading verdicts. An operator
    answers what is asked with what is true."""

    def __init__(self, settings: Settings, shown: Sequence[Part], every_s: float, name: str = "fed") -> None:
        self.answered: list[Answered] = []
        self.sent_s: list[float] = []
        self._settings = settings
        self._shown = shown
        self._every_s = every_s
        self._prefix = f"{name} "
        self._ended = threading.Event()
        self._read_all = threading.Event()
        self._sender, self._reader = (threading.Thread(target=work, daemon=True) for work in (self._send, self._read))
        self._sender.start()
        self._reader.start()

    def end(self, most_s: float = 120.0) -> int:
        """Send no more, and wait for the verdicts. Returns how many parts have none."""
        self._ended.set()
        self._sender.join()
        until_s = time.monotonic() + most_s
        while len(self.answered) < len(self.sent_s) and time.monotonic() < until_s:
            time.sleep(0.05)
        self._read_all.set()
        self._reader.join()
        return len(self.sent_s) - len(self.answered)

    def _name(self, stream: Stream) -> str:
        return f"{self._settings.redis.prefix}:{self._settings.line}:{stream}"

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self._settings.redis.url, protocol=2)

    def _send(self) -> None:
        client, due_s = self._client(), time.monotonic()
        while not self._ended.is_set():
            number = len(self.sent_s)
            fields: dict[Any, Any] = {
                "frame_id": f"{self._prefix}{number}",
                "image": self._shown[number % len(self._shown)].image,
            }
            self.sent_s.append(time.monotonic())
            client.xadd(self._name(Stream.FRAMES), fields)
            due_s += self._every_s
            time.sleep(max(due_s - time.monotonic(), 0))

    def _read(self) -> None:
        client, after = self._client(), "0"
        while not self._read_all.is_set():
            reply: Any = client.xread({self._name(Stream.VERDICTS): after}, count=100, block=READ_MS)
            now_s = time.monotonic()
            for entry, fields in [each for _, entries in reply or [] for each in entries]:
                after = entry.decode()
                self._take(client, {k.decode(): v.decode(errors="replace") for k, v in fields.items()}, now_s)

    def _take(self, client: redis.Redis, told: dict[str, str], now_s: float) -> None:
        if not told["frame_id"].startswith(self._prefix):
            return
        number = int(told["frame_id"].removeprefix(self._prefix))
        waited_ms = (now_s - self.sent_s[number]) * 1000
        self.answered.append(Answered(now_s, waited_ms, told["verdict"], told.get("version", "")))
        if told["asked"] == "1":
            label = "defect" if self._shown[number % len(self._shown)].bad else "good"
            client.xadd(self._name(Stream.FEEDBACK), dict(answers.answer(told["frame_id"], label, "bench").fields()))
