"""The region of interest by HTTP and on the command line: taught, kept, told, and refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import setups
from commands import call
from conftest import frame
from fastapi.testclient import TestClient
from lessons import judge_by_newest
from pictures import file_of, png
from setups import sent, taught

from daemon import build
from daemon.cli.main import main
from daemon.datasets.rendered import STEADY, Flaw, part
from daemon.service import Service
from daemon.settings.load import Settings
from memory.extract import Extractor

client = setups.client
LEFT = {"include": [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]}
CROSSED = {"include": [[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]]}


def large(number: int) -> bytes:
    """A part of twice the network's side."""
    return file_of(cv2.resize(part(number), (128, 128), interpolation=cv2.INTER_AREA))


def pixels(jpeg: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(np.int64)


def test_a_draft_is_taught_in_a_region(client: TestClient) -> None:
    batch = sent(client)
    whole, drawn = taught(client, batch=batch), taught(client, batch=batch, region=LEFT)
    assert (whole["region"], whole["batch"]) == ({}, batch)
    assert (drawn["region"], drawn["batch"]) == (LEFT, batch)
    assert whole["id"] != drawn["id"], "nobody goes live with another region than was checked"
    assert taught(client, batch=batch, region={})["region"] == {}


def test_people_see_an_image_that_was_refused(client: TestClient, service: Service) -> None:
    """Its values lie beyond the window of the version, or it has another size: UNKNOWN, and shown as it is."""
    large = file_of(np.full((96, 80, 3), 200, np.uint8))
    twelve = file_of(np.full((64, 64), 3000, np.uint16))
    for name, data, shape in (("size", large, (96, 80)), ("depth", twelve, (64, 64))):
        seen = service.engine.judge(frame(name, data))
        assert seen.verdict == "UNKNOWN"
        shown = client.get(f"/frames/{seen.seq}/heat.jpg")
        assert shown.status_code == 200
        assert pixels(shown.content).shape[:2] == shape
        assert pixels(shown.content).mean() == pytest.approx(200 if name == "size" else 3000 * 255 / 4095, abs=3)


def go_live(client: TestClient, draft: dict[str, Any]) -> None:
    assert client.post("/api/setup/live", json={"draft": draft["id"]}).status_code == 201


def test_without_a_region_the_one_before_is_kept(client: TestClient) -> None:
    batch = sent(client)
    go_live(client, taught(client, batch=batch, region=LEFT))
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
    assert client.get("/api/setup/part", params={"batch": batch}).json() == {"height_px": 2048, "width_px": 2448}


def test_a_frame_s_picture_is_dimmed_where_it_was_not_judged(client: TestClient, service: Service) -> None:
    go_live(client, taught(client, batch=sent(client), region=LEFT))
    judge_by_newest(service)
    service.engine.judge(frame("again", png(610, STEADY, Flaw.BURR)))
    camera, heat = (pixels(client.get(f"/frames/2/{name}.jpg").content) for name in ("image", "heat"))
    outside = (slice(None), slice(36, None))
    assert heat[outside].mean() == pytest.approx(0.35 * camera[outside].mean(), rel=0.1)
    assert np.array_equal(camera, pixels(client.get("/frames/1/image.jpg").content)), "as the camera saw it"
    whole = pixels(client.get("/frames/1/heat.jpg").content)
    assert whole[outside].mean() > 0.8 * camera[outside].mean(), "as the version before judged it"


@pytest.mark.slow
def test_the_smallest_defect_makes_the_scale_and_the_next_teach_forgets_it(client: TestClient) -> None:
    batch = sent(client, *map(large, range(12)))
    fine = taught(client, batch=batch, smallest_defect_px=5)  # more pixels than the image has tell nothing
    assert (fine["geometry"]["canvas"], fine["smallest_defect_px"]) == ([128, 128], 5)
    assert fine["geometry_text"] == "images of 128×128 px, judged at full resolution in one tile"
    usual = taught(client, batch=batch)
    assert (usual["geometry"]["canvas"], usual["smallest_defect_px"]) == ([64, 64], None)
    assert usual["id"] != fine["id"], "nobody goes live with another scale than was checked"


@pytest.mark.parametrize("px", [0, -3, "many", [6]])
def test_what_is_no_size_of_a_defect_is_refused(client: TestClient, px: object) -> None:
    body = {"batch": sent(client, png(1)), "smallest_defect_px": px}
    assert client.post("/api/setup/teach", json=body).status_code == 422


def deep(number: int, bits: int = 12) -> bytes:
    """A rendered part in grey as a camera of so many bits sends it."""
    grey = cv2.imdecode(np.frombuffer(png(number), np.uint8), cv2.IMREAD_GRAYSCALE).astype(np.uint32)
    return cv2.imencode(".png", (grey * (2**bits - 1) // 255).astype(np.uint16))[1].tobytes()


def test_parts_of_twelve_bits_are_shown_as_bright_as_of_eight(client: TestClient, service: Service) -> None:
    batch = sent(client, *(deep(number) for number in range(12)))
    before = pixels(client.get("/setup/part.jpg", params={"batch": batch}).content)
    draft = taught(client, batch=batch)
    told = "; 12 bits, found in the taught parts: set source.bits if the camera has more"
    assert draft["geometry_text"].endswith(told)
    first = cv2.imdecode(np.frombuffer(png(0), np.uint8), cv2.IMREAD_GRAYSCALE)
    after = pixels(client.get("/setup/part.jpg", params={"batch": batch}).content)
    assert before.mean() == pytest.approx(first.mean(), rel=0.02)
    assert after.mean() == pytest.approx(first.mean(), rel=0.02)
    go_live(client, draft)
    judge_by_newest(service)
    assert service.engine.judge(frame("deep", deep(500))).verdict == "OK"
    shown = pixels(client.get("/frames/2/image.jpg").content)
    seen = cv2.imdecode(np.frombuffer(png(500), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.mean() == pytest.approx(seen.mean(), rel=0.02)
    assert service.engine.judge(frame("beyond", deep(500, 16))).verdict == "UNKNOWN"
    assert pixels(client.get("/frames/3/image.jpg").content).mean() == pytest.approx(seen.mean(), rel=0.02)


def test_the_check_s_picture_of_a_large_part_is_small(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.console.drafts.PICTURE_PX", 40)  # or the part would have to be truly large
    draft = taught(client, batch=sent(client))
    assert draft["geometry"]["canvas"] == [64, 64]
    known = client.post("/api/setup/known", json={"count": 1}).json() | {"name": "good.png"}
    checked = client.post("/api/setup/check", params=known, content=png(500)).json()
    assert pixels(base64.b64decode(checked["picture"])).shape == (40, 40, 3)


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
    file = tmp_path / "region.json"
    file.write_text(json.dumps(LEFT))
    for number, path in enumerate(good_parts.iterdir()):
        path.write_bytes(large(number))
    (good_parts / "torn.png").write_bytes(png(3)[:900])
    words = ("teach", good_parts, "--region", file, "--smallest-defect", 10, "--config", config)
    code, reply = call(capsys, monkeypatch, *words)
    wanted = {"image": [128, 128], "canvas": [88, 88], "tile": [88, 88], "bits": None, "region": LEFT}
    assert (code, reply["geometry"]) == (0, wanted)
    assert list(reply["refused"]) == [str(good_parts / "torn.png")]
    assert call(capsys, monkeypatch, "versions", "show", 1, "--config", config)[1]["region"] == LEFT
    monkeypatch.setattr("sys.argv", ["driftline", *map(str, words)])
    with pytest.raises(SystemExit, match="0"):
        main()
    told = " ".join(capsys.readouterr().out.split())  # lines end where the terminal does
    assert "1 of 17 images refused" in told
    assert "images of 128×128 px, judged at 0.69 times their size in one tile, in a region of 50% of the image" in told


@pytest.mark.parametrize("px", [0, 65, "nan"])
def test_a_defect_larger_than_the_image_is_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    config: Path,
    extractor: Extractor,
    good_parts: Path,
    px: object,
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    code, reply = call(capsys, monkeypatch, "teach", good_parts, "--smallest-defect", px, "--config", config)
    assert (code, reply["error"], reply["came"]) == (2, "GeometryError", f"{px} px")


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
def test_a_version_of_the_whole_image_tells_no_region(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    assert call(capsys, monkeypatch, "versions", "show", 1, "--config", config)[1]["region"] == {}
