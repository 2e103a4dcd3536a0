"""The region of interest by HTTP and on the command line: taught, kept, told, and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from commands import call
from conftest import frame
from fastapi.testclient import TestClient
from pictures import png
from servers import until

from daemon import build
from daemon.cli import versions
from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import teach as teaching
from daemon.ledger import provenance
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.extract import Extractor
from memory.region import Region

LEFT = {"include": [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]}
CROSSED = {"include": [[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]]}


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


def pixels(jpeg: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(np.int64)


def test_a_draft_is_taught_in_a_region(client: TestClient) -> None:
    batch = sent(client)
    whole, drawn = taught(client, batch=batch), taught(client, batch=batch, region=LEFT)
    assert (whole["region"], whole["batch"]) == ({}, batch)
    assert (drawn["region"], drawn["batch"]) == (LEFT, batch)
    assert whole["id"] != drawn["id"], "nobody goes live with another region than was checked"
    assert taught(client, batch=batch, region={})["region"] == {}


def test_without_a_region_the_one_before_is_kept(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "region_of", lambda _: Region.of(LEFT))
    batch = sent(client)
    assert taught(client, batch=batch)["region"] == LEFT
    assert taught(client, batch=batch, region={})["region"] == {}


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (CROSSED, "polygons whose edges do not cross"),
        ({"include": [[[0, 0], [1, 1]]]}, "polygons of 3 to 64 points"),
        ({"include": [[[0, 0], [2, 0], [1, 1]]]}, "points inside the image, in shares from 0 to 1"),
        ({"ignore": [[[0, 0], [10**400, 0], [1, 1]]]}, "points inside the image, in shares from 0 to 1"),
        ({"inside": []}, "the keys include and ignore"),
        ({"include": 3}, "a list of polygons"),
    ],
)
def test_what_is_no_region_is_refused_and_nothing_begins(
    client: TestClient, region: dict[str, Any], expected: str
) -> None:
    body = json.dumps({"batch": sent(client), "region": region})
    refused = client.post("/api/setup/teach", content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["expected"]) == (422, expected)
    assert client.get("/api/work").json()["work"] is None


def test_a_region_that_is_no_object_is_invalid(client: TestClient) -> None:
    assert client.post("/api/setup/teach", json={"batch": "x", "region": [1]}).status_code == 422


def test_a_part_of_the_batch_is_shown_to_draw_on(client: TestClient) -> None:
    assert client.get("/setup/part.jpg", params={"batch": "another"}).status_code == 409
    empty = client.post("/api/setup/begin").json()["batch"]
    assert client.get("/setup/part.jpg", params={"batch": empty}).status_code == 409
    large = np.full((2048, 2448, 3), 90, dtype=np.uint8)
    batch = sent(client, cv2.imencode(".png", large)[1].tobytes())
    shown = client.get("/setup/part.jpg", params={"batch": batch})
    assert shown.headers["content-type"] == "image/jpeg"
    assert pixels(shown.content).shape == (857, 1024, 3)


def test_a_frame_s_picture_is_dimmed_where_it_was_not_judged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = pixels(client.get("/frames/1/image.jpg").content)
    monkeypatch.setattr(provenance, "region_of", lambda _: Region.of(LEFT))
    heat = pixels(client.get("/frames/1/heat.jpg").content)
    assert np.array_equal(pixels(client.get("/frames/1/image.jpg").content), camera), "as the camera saw it"
    outside = (slice(None), slice(36, None))
    assert heat[outside].mean() == pytest.approx(0.35 * camera[outside].mean(), rel=0.1)


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> Path:
    """The settings of the test's line in a file."""
    path = tmp_path / "line.yaml"
    path.write_text(settings.model_dump_json())
    return path


def test_the_command_teaches_in_a_region(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    config: Path,
    extractor: Extractor,
    good_parts: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    drafts: list[teaching.Draft] = []
    publish = teaching.publish

    def noted(draft: teaching.Draft, *also: Any) -> teaching.Taught:
        drafts.append(draft)
        return publish(draft, *also)

    monkeypatch.setattr(teaching, "publish", noted)
    file = tmp_path / "region.json"
    file.write_text(json.dumps(LEFT))
    code, _ = call(capsys, monkeypatch, "teach", good_parts, "--region", file, "--config", config)
    assert (code, drafts[0].region) == (0, Region.of(LEFT))


def test_a_file_that_holds_no_region_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path, good_parts: Path, tmp_path: Path
) -> None:
    for text, expected in (
        (None, "a JSON file"),
        ("{", "a JSON file"),
        ("[]", "the keys include and ignore"),
        (json.dumps(CROSSED), "do not cross"),
    ):
        file = tmp_path / "region.json"
        if text is not None:
            file.write_text(text)
        code, reply = call(capsys, monkeypatch, "teach", good_parts, "--region", file, "--config", config)
        assert (code, reply["error"]) == (2, "RegionRejected")
        assert expected in reply["expected"]


@pytest.mark.usefixtures("service")
def test_a_version_s_region_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    assert call(capsys, monkeypatch, "versions", "show", 1, "--config", config)[1]["region"] == {}
    monkeypatch.setattr(versions, "region_of", lambda _: Region.of(LEFT))
    assert call(capsys, monkeypatch, "versions", "show", 1, "--config", config)[1]["region"] == LEFT
