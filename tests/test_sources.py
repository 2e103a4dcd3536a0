"""What every source of frames promises."""

from __future__ import annotations

import pytest

from daemon.intake.cameras import Camera
from daemon.intake.folder import WatchedFolder
from daemon.intake.redis_frames import RedisFrames
from daemon.intake.sources import Source


@pytest.mark.parametrize("source", [RedisFrames, WatchedFolder, Camera])
def test_every_source_can_do_what_the_service_asks_of_it(source: type) -> None:
    promised = {name for name in vars(Source) if not name.startswith("_") and callable(getattr(Source, name))}
    assert promised == {"read", "acknowledge", "tidy", "close"}
    assert promised <= {name for name in vars(source) if callable(getattr(source, name))}
