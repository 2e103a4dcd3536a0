"""`driftline bench`: a data set's figures, resumed where they are there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pictures import INPUT_PX, png
from typer.testing import CliRunner

from daemon import build
from daemon.cli.main import app
from daemon.datasets.labelled import LabelsError
from daemon.datasets.rendered import STEADY, Flaw
from daemon.evaluation import judged
from daemon.settings.load import ConfigError, Settings
from memory.errors import DriftlineError
from memory.extract import Extractor


@pytest.fixture
def here(settings: Settings, tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings, and two categories of MVTec AD in `set`."""
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(settings.model_dump_json())
    everywhere = cv2.imencode(".png", np.full((INPUT_PX, INPUT_PX), 255, np.uint8))[1].tobytes()
    for name in ("bottle", "cable"):
        files = {f"train/good/{n:03d}.png": png(n) for n in range(10)}
        files |= {f"test/good/{n}.png": png(n) for n in range(50, 53)}
        files |= {f"test/burr/{n}.png": png(n, STEADY, Flaw.BURR) for n in range(610, 612)}
        files |= {"test/burr/torn.png": b"no image", "ground_truth/burr/610_mask.png": everywhere}
        for path, data in files.items():
            (tmp_path / "set" / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / name / path).write_bytes(data)
    return tmp_path


def run(*words: str, root: str = "set") -> dict[str, Any]:
    done = CliRunner().invoke(app, ["bench", *words, "--root", root, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows: dict[str, Any] = json.loads(done.stdout)
    return rows


def test_positions_beside_the_colours_are_judged_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[0:INPUT_PX, 0:INPUT_PX].astype(np.float32)

    def positions(number: int, dent: float = 0.0) -> bytes:
        noise = np.random.default_rng(number).normal(0, 0.1, x.shape)
        heights = 20 + np.sin(x / 5) + noise - dent * np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 30)
        xyz = np.dstack([x, y, heights]).astype(np.float32)
        return cv2.imencode(".tiff", xyz[:, :, ::-1])[1].tobytes()  # OpenCV writes channels from the last on

    shown = [("train/good", n, 0.0) for n in range(10)] + [("test/good", n, 0.0) for n in range(50, 53)]
    for kind, number, dent in [*shown, *(("test/dent", n, 3.0) for n in range(53, 56))]:
        for name, data in (("rgb/{}.png", png(number)), ("xyz/{}.tiff", positions(number, dent))):
            path = here / "deep" / "bagel" / kind / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (here / "deep" / "bagel" / "test" / "good" / "xyz" / "50.tiff").write_bytes(b"torn")
    monkeypatch.setattr("daemon.evaluation.judged.UNKNOWN", -1.0)  # so that it cannot hide how the others did
    row = run("mvtec-3d", root="deep")["bagel"]
    assert (row["taught"], row["good"], row["bad"], row["not_judged"]) == (10, 3, 3, 1)
    assert row["auroc"] == 1.0


def test_each_category_has_its_figures_and_a_contact_sheet(here: Path) -> None:
    rows = run("mvtec-ad")
    assert list(rows) == ["bottle", "cable"]
    row = rows["bottle"]
    assert (row["taught"], row["good"], row["bad"]) == (10, 3, 3)
    assert row["auroc"] == 1.0, "one torn image counts as found: nobody lets it pass"
    assert (row["not_judged"], row["recall_by_kind"]) == (1, {"burr": 1.0})
    assert row["aupro"] is not None
    below = here / "bench-results" / "mvtec-ad" / "patch-bank"
    assert json.loads((below / "bottle.json").read_text()) == row
    sheet = (below / "bottle.html").read_text()
    assert "burr: 610.png" in sheet
    assert sheet.count("<figure>") == 2 * (3 + 2), "the torn one has no picture"
    assert (below / "table.md").read_text().splitlines()[-1].startswith("| mean |")


def test_a_run_that_was_stopped_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("mvtec-ad", "--category", "bottle")
    taught: list[Path] = []
    real = judged.teach

    def counted(paths: Any, *more: Any) -> Any:
        taught.append(paths[0])
        return real(paths, *more)

    monkeypatch.setattr(judged, "teach", counted)
    assert run("mvtec-ad")["bottle"] == first["bottle"]
    assert [path.parts[-4] for path in taught] == ["cable"]
    run("mvtec-ad", "--set", "policy.false_reject_rate=0.05")
    assert len(taught) == 3, "other settings, other figures"
    (here / "bench-results/mvtec-ad/patch-bank/cable.json").write_text("{torn")
    run("mvtec-ad", "--set", "policy.false_reject_rate=0.05")
    assert len(taught) == 4
    mask = here / "set/cable/ground_truth/burr/610_mask.png"
    mask.rename(mask.with_name("611_mask.png"))
    run("mvtec-ad", "--set", "policy.false_reject_rate=0.05")
    assert len(taught) == 5, "another mask, other figures"


def test_what_is_not_there_is_told(here: Path) -> None:
    with pytest.raises(ConfigError, match="among bottle, cable"):
        run("mvtec-ad", "--category", "zipper")
    with pytest.raises(LabelsError, match="mvtec-loco"):
        run("mvtec")
    (here / "set" / "bottle" / "train").rename(here / "set" / "bottle" / "training")
    with pytest.raises(DriftlineError, match="good parts"):
        run("mvtec-ad")


@pytest.mark.usefixtures("here")
def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.evaluation.installed.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"driftline\[bench\]"):
        run("mvtec-ad")
