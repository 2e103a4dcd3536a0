"""Images that people send to be scored: few are held decoded at a time, however many wait."""

from __future__ import annotations

import threading

import anyio
import numpy as np
import pytest

from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.services import IMAGES_AT_ONCE, Services, services_of
from daemon.intake.onto_canvas import Decoded
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.geometry import Geometry


@pytest.fixture
def services(settings: Settings, wire: RedisStreams) -> Services:
    """A console's services; the line is not taught."""
    return services_of(line_view(settings, open_state(settings.state_dir), wire), access(ConsoleSettings()))


def test_waiting_images_are_not_decoded_yet(services: Services) -> None:
    held, most, lock = 0, 0, threading.Lock()

    def decode(data: bytes) -> Decoded:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return Decoded(data, np.zeros((4, 4, 3), dtype=np.uint8), Geometry.squeezed(4))

    def score(_: Decoded) -> None:
        nonlocal held
        with lock:
            held -= 1

    async def send_many() -> None:
        async with anyio.create_task_group() as together:
            for _ in range(30):
                together.start_soon(services.scoring, decode, score, b"")

    anyio.run(send_many)
    assert held == 0
    assert most <= IMAGES_AT_ONCE


@pytest.mark.parametrize("fails", ["decode", "score"])
def test_an_image_that_fails_gives_its_place_back(services: Services, fails: str) -> None:
    def decode(data: bytes) -> Decoded:
        if fails == "decode":
            raise ValueError(fails)
        return Decoded(data, np.zeros((4, 4, 3), dtype=np.uint8), Geometry.squeezed(4))

    def score(_: Decoded) -> None:
        raise ValueError(fails)

    async def send_each() -> None:
        for _ in range(2 * IMAGES_AT_ONCE):
            with pytest.raises(ValueError, match=fails):
                await services.scoring(decode, score, b"")

    anyio.run(send_each)
