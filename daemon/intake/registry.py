"""The registry of sources by `source.kind`: a new kind is one file with `open_source`, one line here, and its name in
the settings."""

from __future__ import annotations

from importlib import import_module

from daemon.intake.sources import Source
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

SOURCES = {
    "redis": "daemon.intake.redis_frames",
    "folder": "daemon.intake.folder",
    "camera": "daemon.intake.addressed",
    "genicam": "daemon.intake.genicam",
}


def open_source(settings: Settings, streams: RedisStreams) -> Source:
    """The configured source. Raises ConfigError where what it needs is not named or not installed."""
    source: Source = import_module(SOURCES[settings.source.kind]).open_source(settings, streams)
    return source
