"""Parts that lie a little differently: placed, judged where they were taught, and shown where they lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import NOW_MS, frame, line_in, start_line, teach_line
from pictures import file_of

from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from daemon.learning import answers
from daemon.learning.teach import TeachError
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.extract import Extractor

MOVED = replace(STEADY, shift_px=(18.0, -14.0), turn_deg=9.0)


def placing_in(folder: Path) -> Settings:
    """A line that places its parts."""
    return line_in(folder, scene={"align": True, "scale": 0.5})


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Path:
    """The state folder of a line that places its parts."""
    settings = placing_in(tmp_path_factory.mktemp("placing"))
    return teach_line(settings, extractor, (file_of(part(n)) for n in range(12)))


@pytest.fixture
def placing(taught: Path, extractor: Extractor, wire: RedisStreams, tmp_path: Path) -> Service:
    """A started service of a line that places its parts."""
    return start_line(taught, placing_in(tmp_path), extractor, wire)


def test_a_moved_part_is_judged_as_if_it_lay_where_it_was_taught(placing: Service) -> None:
    active = placing.engine.active
    assert active is not None
    scores = []
    for scene in (STEADY, MOVED):
        scored = placing.engine.score_image(placing.engine.decode(file_of(part(500, scene))), active)
        scores.append(scored.score.value)
    assert scored.placement is not None
    assert scored.placement.shift_px == pytest.approx((9.0, -7.0), abs=1.5)  # of the canvas, half the image's size
    assert scored.placement.turn_deg == pytest.approx(9.0, abs=1.5)
    unplaced = placing.engine.score_image(
        placing.engine.decode(file_of(part(500, MOVED))), replace(active, sight=replace(active.sight, template=None))
    )
    assert scores[1] - scores[0] < 0.5 * (unplaced.score.value - scores[0])


def test_the_verdict_tells_how_the_part_lay(placing: Service) -> None:
    seen = placing.engine.judge(frame("f", file_of(part(500, MOVED))))
    assert seen.evidence is not None
    told = seen.evidence["placement"]
    assert told["confidence"] > 0.5
    assert told["turn_deg"] == pytest.approx(9.0, abs=1.5)


def test_what_is_no_part_cannot_be_placed_and_is_unknown(placing: Service, rng: np.random.Generator) -> None:
    noise = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), (0, 0), 3)
    seen = placing.engine.judge(frame("f", file_of(noise)))
    assert seen.verdict == "UNKNOWN"
    assert "look whether the right part lies in its fixture" in seen.reason


def test_the_map_lies_on_the_part_in_its_image(placing: Service) -> None:
    image = part(500, MOVED)
    image[96:116, 60:80] = (255, 0, 255)
    seen = placing.engine.judge(frame("f", file_of(image)))
    assert seen.verdict == "NG"
    assert seen.kept is not None
    anomaly = placing.engine.kept.anomaly(seen.kept)
    assert anomaly is not None
    row, column = np.unravel_index(anomaly.argmax(), anomaly.shape)
    assert (row * 8 + 4, column * 8 + 4) == pytest.approx((106, 70), abs=16)


def test_a_mark_on_a_moved_part_teaches_the_marked_place(placing: Service) -> None:
    for number in (610, 611, 612):
        image = part(number, MOVED)
        image[96:116, 60:80] = (255, 0, 255)
        image[180:200, 150:170] = (0, 255, 0)
        placing.engine.judge(frame(f"d{number}", file_of(image)))
        mark = "[0.23, 0.37, 0.32, 0.46]"
        answers.record(placing.engine.ledger, answers.answer(f"d{number}", "defect", "anna", mark), NOW_MS)
    placing.recalibrate()
    for defect in placing.store.current().snapshot.confirmed_defects.defects:
        rows, columns = np.nonzero(defect.mask)
        centre = np.array([columns.mean() * 8 + 4, rows.mean() * 8 + 4]) - 128
        # Where the mark lay before the part was moved: shifted back, then turned back about the centre.
        angle = np.radians(9.0)
        back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        assert centre == pytest.approx(back @ (np.array([70 - 128, 106 - 128]) - (18, -14)), abs=14)


def test_parts_without_a_common_position_are_refused(
    extractor: Extractor, tmp_path: Path, rng: np.random.Generator
) -> None:
    noise = [cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), (0, 0), 3) for _ in range(6)]
    with pytest.raises(TeachError, match=r"scene\.align"):
        teach_line(placing_in(tmp_path), extractor, map(file_of, noise))


def test_a_confirmed_flaw_of_a_moved_part_is_found_again(placing: Service) -> None:
    placing.engine.judge(frame("d", file_of(part(610, Scene(turn_deg=-8.0), Flaw.BURR))))
    seen = placing.engine.judge(frame("e", file_of(part(611, MOVED, Flaw.BURR))))
    assert seen.verdict == "NG"
