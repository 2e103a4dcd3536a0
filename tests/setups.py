"""The Setup page's requests, from an engineer's browser before a taught line; tests import the fixture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import frame
from fastapi.testclient import TestClient
from pictures import png
from servers import until

from daemon import build
from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.extract import Extractor


@pytest.fixture
def client(
    service: Service, settings: Settings, wire: RedisStreams, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """An engineer's browser before a taught line that has judged one bad part."""
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    service.engine.judge(frame("bad", png(610, STEADY, Flaw.BURR)))
    app = application(line_view(settings, open_state(settings.state_dir), wire), access(ConsoleSettings()))
    with TestClient(app, base_url="http://127.0.0.1") as browser:
        yield browser


def sent(client: TestClient, *images: bytes) -> str:
    """A batch of images, twelve parts unless others are given."""
    batch: str = client.post("/api/setup/begin").json()["batch"]
    for number, data in enumerate(images or [png(number) for number in range(12)]):
        name = {"batch": batch, "name": f"{number}.png"}
        assert client.put("/api/setup/images", params=name, content=data).status_code == 201
    return batch


def taught(client: TestClient, **body: Any) -> dict[str, Any]:
    """The draft that was taught."""
    assert client.post("/api/setup/teach", json=body).status_code == 202
    until(lambda: client.get("/api/work").json()["work"]["ended"])
    progress = client.get("/api/work").json()
    assert progress["work"]["error"] is None
    draft: dict[str, Any] = progress["draft"]
    return draft
