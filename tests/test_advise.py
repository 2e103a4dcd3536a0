"""Advice on detectors: defects are drawn where they are said to be, and the fastest of the best is advised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import png
from typer.testing import CliRunner

from daemon import build
from daemon.cli.main import app
from daemon.datasets.labelled import LabelsError, Split
from daemon.datasets.rendered import STEADY, Flaw, part
from daemon.evaluation.advice import LEAST_PARTS, REAL, Candidate, advised, trial_set
from daemon.evaluation.drawn_defects import KINDS, LEAST_CHANGE, drawn
from daemon.settings.load import Settings
from memory.composition.detector import COMPOSITION
from memory.errors import DriftlineError
from memory.extract import Extractor
from memory.padim.detector import PADIM
from memory.simplenet.detector import SIMPLENET


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 2**32), st.integers(0, 9))
@settings(max_examples=60)
def test_a_defect_is_where_it_is_said_to_be(kind: str, seed: int, number: int) -> None:
    good = part(number, STEADY)[::2, ::3]
    made = drawn(good, kind, np.random.default_rng(seed))
    changed = (made.image != good).any(axis=2)
    assert changed.any()
    assert not (changed & ~made.mask).any()
    assert made.mask.mean() < 0.1
    again = drawn(good, kind, np.random.default_rng(seed))
    assert np.array_equal(again.image, made.image), "the same draw, the same defect"


@pytest.mark.parametrize("kind", KINDS)
def test_most_drawn_defects_can_be_seen(kind: str) -> None:
    seen = 0
    for seed in range(20):
        good = part(seed, STEADY)
        made = drawn(good, kind, np.random.default_rng(seed))
        seen += float(np.abs(made.image.astype(float) - good)[made.mask].mean()) >= LEAST_CHANGE
    assert seen >= 18


def test_the_fastest_of_those_as_good_as_the_best_is_advised() -> None:
    slow, fast, worse = (
        Candidate("slow", 0.99, frame_ms=90),
        Candidate("fast", 0.985, frame_ms=20),
        Candidate("worse", 0.9, frame_ms=1),
    )
    assert advised([slow, fast, worse]) is fast
    assert advised([Candidate("a", 0.7, 0.99, frame_ms=9), Candidate("b", 0.99, 0.7, frame_ms=1)]).detector == "a", (
        "real defects decide where there are some"
    )
    with pytest.raises(LabelsError, match="a: too large"):
        advised([Candidate("a", refused="too large")])


@pytest.fixture
def goods(tmp_path: Path) -> list[Path]:
    (tmp_path / "goods").mkdir()
    paths = [tmp_path / "goods" / f"{number:02d}.png" for number in range(16)]
    for number, path in enumerate(paths):
        path.write_bytes(png(number))
    return paths


def test_no_part_is_taught_and_judged(goods: list[Path], tmp_path: Path) -> None:
    data = trial_set(goods, [goods[0]], Settings(), tmp_path, 0)
    taught = {one.path for one in data.goods}
    tested = {one.path for one in data.of(Split.TEST) if one.kind == "good"}
    assert len(taught) == 12
    assert taught | tested == set(goods)
    assert not taught & tested
    kinds = [one.kind for one in data.of(Split.TEST) if one.defective]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(KINDS, 4) | {REAL: 1}
    again = trial_set(goods, [], Settings(), tmp_path, 0)
    assert [one.path for one in again.goods] == [one.path for one in data.goods]
    with pytest.raises(LabelsError, match=f"at least {LEAST_PARTS}"):
        trial_set(goods[: LEAST_PARTS - 1], [], Settings(), tmp_path, 0)


@pytest.mark.usefixtures("goods", "trained_briefly")
def test_each_kind_of_detector_is_tried_and_one_is_advised(
    settings: Settings, tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(settings.model_dump_json())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "burr.png").write_bytes(png(610, STEADY, Flaw.BURR))
    words = ["advise", "goods", "--defects", "bad", "--sheet", "sheet.html", "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    assert [each["detector"] for each in told["candidates"]] == ["patch-bank", PADIM, COMPOSITION, SIMPLENET]
    assert all(each["real_auroc"] == 1.0 for each in told["candidates"])
    assert told["do"] == f"driftline teach goods --set memory.detector={told['advised']}"
    assert "with its anomaly map" in (tmp_path / "sheet.html").read_text()
    assert not settings.state_dir.exists(), "the line is left as it is"


@pytest.mark.usefixtures("goods", "trained_briefly")
def test_a_kind_that_cannot_be_taught_is_told_and_not_advised(
    settings: Settings, tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise DriftlineError(expected="smaller images", came="large ones", do="judge more coarsely")

    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    monkeypatch.setattr("memory.padim.learner.PadimLearner.fit", refused)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(settings.model_dump_json())
    done = CliRunner().invoke(app, ["advise", "goods", "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert told["advised"] in {"patch-bank", COMPOSITION, SIMPLENET}
    assert "expected smaller images" in told["candidates"][1]["refused"]
