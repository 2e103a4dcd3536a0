"""What people answered leaves for other tools, and can come back."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import NOW_MS, frame
from pictures import png

from daemon.datasets import export
from daemon.datasets.readers import mvtec
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers
from daemon.service import Service


@pytest.fixture
def reviewed(service: Service) -> Service:
    """Frames of all kinds: answered, disputed, asked and neither."""
    service.engine.judge(frame("good", png(50)))
    for name, number in (("bad", 610), ("disputed", 611), ("open", 612)):
        service.engine.judge(frame(name, png(number, STEADY, Flaw.BURR)))
    recorded = [("bad", "defect", "anna", "[0.25, 0.25, 0.5, 0.75]"), ("good", "good", "anna", None)]
    recorded += [("disputed", "defect", "anna", None), ("disputed", "good", "bert", None)]
    for name, verdict, operator, region in recorded:
        answers.record(service.engine.ledger, answers.answer(name, verdict, operator, region), NOW_MS)
    return service


def test_label_studio_gets_predictions_and_annotations(reviewed: Service, tmp_path: Path) -> None:
    engine = reviewed.engine
    counts = export.label_studio(
        export.reviewed(engine.ledger, engine.kept, engine.settings.source),
        engine.kept,
        engine.settings.source,
        tmp_path,
    )
    assert counts == {"tasks": 4, "annotated": 2}
    tasks = {task["data"]["frame_id"]: task for task in json.loads((tmp_path / "tasks.json").read_text())}
    bad = tasks["bad"]
    choice, region = bad["annotations"][0]["result"]
    assert choice["value"] == {"choices": ["defect"]}
    wanted = {"x": 25, "y": 25, "width": 25, "height": 50, "rotation": 0, "rectanglelabels": ["defect"]}
    assert region["value"] == wanted
    assert (region["original_width"], region["original_height"]) == (64, 64)
    (prediction,) = bad["predictions"]
    assert 0.5 < prediction["score"] < 1, "Label Studio refuses others"
    assert [r["type"] for r in prediction["result"]] == ["choices", "rectanglelabels"]
    assert "annotations" not in tasks["disputed"]
    assert "annotations" not in tasks["open"]
    assert (tmp_path / bad["data"]["image"].partition("?d=")[2]).read_bytes() == png(610, STEADY, Flaw.BURR)
    names = {result["from_name"] for result in bad["annotations"][0]["result"]}
    assert all(f'name="{name}"' in (tmp_path / "labels.xml").read_text() for name in names)


def test_files_are_named_for_what_they_are(service: Service, tmp_path: Path) -> None:
    grey = cv2.imdecode(np.frombuffer(png(610, STEADY, Flaw.BURR), np.uint8), cv2.IMREAD_GRAYSCALE)
    for suffix in (".pgm", ".jp2", ".bmp"):
        service.engine.judge(frame(suffix, cv2.imencode(suffix, grey)[1].tobytes()))
        answers.record(service.engine.ledger, answers.answer(suffix, "defect", "anna"), NOW_MS)
    engine = service.engine
    export.mvtec(export.reviewed(engine.ledger, engine.kept, engine.settings.source), tmp_path)
    assert sorted(path.suffix for path in (tmp_path / "test" / "defect").iterdir()) == [".bmp", ".jp2", ".pgm"]


def test_label_studio_gets_images_that_a_browser_shows(service: Service, tmp_path: Path) -> None:
    grey = cv2.imdecode(np.frombuffer(png(610, STEADY, Flaw.BURR), np.uint8), cv2.IMREAD_GRAYSCALE)
    for suffix in (".pgm", ".jp2", ".tif", ".bmp"):
        service.engine.judge(frame(suffix, cv2.imencode(suffix, grey)[1].tobytes()))
        answers.record(service.engine.ledger, answers.answer(suffix, "defect", "anna"), NOW_MS)
    engine = service.engine
    frames = export.reviewed(engine.ledger, engine.kept, engine.settings.source)
    export.label_studio(frames, engine.kept, engine.settings.source, tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    shown = {task["data"]["frame_id"]: tmp_path / task["data"]["image"].partition("?d=")[2] for task in tasks}
    assert {name: path.suffix for name, path in shown.items()} == {
        ".pgm": ".png",
        ".jp2": ".png",
        ".tif": ".png",
        ".bmp": ".bmp",
    }
    for path in shown.values():
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert np.abs(picture.astype(int) - grey).mean() < 2, "JPEG 2000 is not lossless here"


def test_what_is_exported_as_a_folder_can_be_imported(reviewed: Service, tmp_path: Path) -> None:
    engine = reviewed.engine
    counts = export.mvtec(export.reviewed(engine.ledger, engine.kept, engine.settings.source), tmp_path)
    assert counts == {"good": 1, "defect": 1, "masks": 1, "unanswered": 2}
    images = {one.defective: one for one in mvtec.read(tmp_path).images}
    assert images[True].box == pytest.approx((0.25, 0.25, 0.5, 0.75))
    assert images[False].path.read_bytes() == png(50)
