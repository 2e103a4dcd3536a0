"""Parts that lie a little differently: placed, judged where they were taught, and shown where they lie."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import NOW_MS, frame, line_in, start_line, teach_line, untracked
from pictures import file_of

from daemon.cli.console import line_view
from daemon.console.history import History
from daemon.console.jobs import Jobs
from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from daemon.learning import answers
from daemon.learning.rollback import roll_back
from daemon.learning.teach import TeachError, images_in, teach
from daemon.ledger.provenance import inside_behind
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.status import probe
from daemon.streams import RedisStreams
from memory.errors import StoreError
from memory.extract import Extractor
from memory.region import Region

MOVED = replace(STEADY, shift_px=(18.0, -14.0), turn_deg=9.0)
COS, SIN = np.cos(np.radians(9.0)), np.sin(np.radians(9.0))
# Where (70, 106) lay before the part was moved: shifted back, then turned back about the centre.
BACK = tuple((np.array([[COS, SIN], [-SIN, COS]]) @ (70 - 128 - 18, 106 - 128 + 14) + 128).tolist())
WINDOW = Region((((0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8)),))


def placing_in(folder: Path) -> Settings:
    """A line that places its parts."""
    return line_in(folder, scene={"align": True, "scale": 0.5})


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Path:
    """The state folder of a line that places its parts."""
    settings = placing_in(tmp_path_factory.mktemp("placing"))
    return teach_line(settings, extractor, (file_of(part(n)) for n in range(12)))


@pytest.fixture(scope="module")
def taught_in_region(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Path:
    """The state folder of a line that places its parts and judges a window of them; the last taught one was moved."""
    settings = placing_in(tmp_path_factory.mktemp("window"))
    scenes = [STEADY] * 11 + [MOVED]
    return teach_line(settings, extractor, (file_of(part(n, scene)) for n, scene in enumerate(scenes)), WINDOW)


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


def test_the_most_anomalous_cell_and_the_console_s_map_lie_there_too(placing: Service) -> None:
    active, image = placing.engine.active, part(500, MOVED)
    assert active is not None
    image[96:116, 60:80] = (255, 0, 255)
    scored = placing.engine.score_image(placing.engine.decode(file_of(image)), active)
    assert scored.evidence is not None
    row, column = scored.evidence["at"]
    assert (row * 8 + 4, column * 8 + 4) == pytest.approx((106, 70), abs=12)
    assert np.array_equal(scored.anomaly[row - 1 : row + 2, column - 1 : column + 2].max(), scored.anomaly.max())


def test_the_region_is_shown_on_the_part_where_it_lies(
    taught_in_region: Path, extractor: Extractor, wire: RedisStreams, tmp_path: Path
) -> None:
    line = start_line(taught_in_region, placing_in(tmp_path), extractor, wire)
    seen = line.engine.judge(frame("f", file_of(part(500, MOVED))))
    inside, taught_inside = inside_behind(line.store, seen, (256, 256)), WINDOW.inside(256, 256)
    assert inside is not None
    assert seen.evidence is not None
    right, down = seen.evidence["placement"]["shift_percent"]
    assert (right, down) == pytest.approx((100 * 18 / 256, -100 * 14 / 256), abs=0.6)
    turn = cv2.getRotationMatrix2D((127.5, 127.5), -9.0, 1.0)
    turn[:, 2] += (18, -14)
    wanted = cv2.warpAffine(taught_inside.astype(np.uint8), turn, (256, 256)).astype(bool)
    assert (inside & wanted).sum() > 0.93 * (inside | wanted).sum()
    assert (taught_inside & wanted).sum() < 0.8 * (taught_inside | wanted).sum()
    where_taught = line.engine.judge(frame("g", file_of(part(501))))
    still = inside_behind(line.store, where_taught, (256, 256))
    assert still is not None
    assert (still & taught_inside).sum() > 0.93 * (still | taught_inside).sum()


def test_what_lies_outside_the_region_of_a_moved_part_changes_nothing(
    taught_in_region: Path, extractor: Extractor, wire: RedisStreams, tmp_path: Path
) -> None:
    line = start_line(taught_in_region, placing_in(tmp_path), extractor, wire)
    outside, within = part(500, MOVED), part(500, MOVED)
    outside[0:60, 0:60] = np.roll(outside[0:60, 0:60], 7, axis=0)
    within[120:140, 130:150] = (255, 0, 255)
    assert line.engine.judge(frame("o", file_of(outside))).verdict == "OK"
    assert line.engine.judge(frame("w", file_of(within))).verdict == "NG"


def test_a_version_whose_taught_images_are_gone_is_probed_all_the_same(placing: Service) -> None:
    shutil.rmtree(placing.engine.settings.state_dir / "frames")
    assert placing.engine.active is not None
    assert probe(placing.engine, placing.engine.active) is not None


@pytest.mark.slow
def test_a_part_that_cannot_be_read_does_not_end_the_teach(extractor: Extractor, tmp_path: Path) -> None:
    files = [file_of(part(n)) for n in range(6)]
    settings = placing_in(tmp_path)
    black = file_of(np.zeros((256, 256, 3), dtype=np.uint8))
    opened = open_state(teach_line(settings, extractor, [*files, black]))
    assert opened.store.version(1).refused == (str(tmp_path / "good" / "006.png"),)


@pytest.mark.slow
def test_a_defect_s_mask_moves_when_position_goes_and_comes(placing: Service, taught: Path) -> None:
    """Without `scene.align` it lies on the part in the image, with it where the part was taught."""
    mark(placing, "d", 610)
    placing.recalibrate()
    assert middle(placing, "d") == pytest.approx(BACK, abs=14)
    teach_aligned(placing, taught, align=False)
    assert middle(placing, "d") == pytest.approx((70, 106), abs=14)
    mark(placing, "e", 611)
    placing.recalibrate()
    with pytest.raises(StoreError, match="never seen under it"):
        roll_back(placing.store, placing.engine.ledger, 2, "anna", NOW_MS)
    teach_aligned(placing, taught, align=True)
    assert middle(placing, "d") == pytest.approx(BACK, abs=14)
    assert middle(placing, "e") == pytest.approx(BACK, abs=14)


def test_the_images_of_taught_parts_are_shown_where_they_are_placed(
    taught_in_region: Path, wire: RedisStreams, tmp_path: Path
) -> None:
    shutil.copytree(taught_in_region, tmp_path / "state")
    line = line_view(placing_in(tmp_path), open_state(tmp_path / "state"), wire)
    shown = History(line, Jobs()).picture(1, "added", 11)
    assert shown is not None
    still, moved = (cv2.resize(part(11, scene), (128, 128), interpolation=cv2.INTER_AREA) for scene in (STEADY, MOVED))
    window = (slice(40, 88), slice(44, 84))
    off = [np.abs(shown[window].astype(int) - other[window]).mean() for other in (still, moved)]
    assert off[0] < 0.5 * off[1]


def mark(service: Service, name: str, number: int) -> None:
    """Judge a moved part with two spots, and confirm the one at (70, 106)."""
    image = part(number, MOVED)
    image[96:116, 60:80] = (255, 0, 255)
    image[180:200, 150:170] = (0, 255, 0)
    service.engine.judge(frame(name, file_of(image)))
    answers.record(service.engine.ledger, answers.answer(name, "defect", "anna", "[0.23, 0.37, 0.32, 0.46]"), NOW_MS)


def middle(service: Service, name: str) -> tuple[float, float]:
    """The middle (x, y) of a confirmed defect's mask in pixels of the image."""
    (defect,) = (d for d in service.store.current().snapshot.confirmed_defects.defects if d.sample == name)
    rows, columns = np.nonzero(defect.mask)
    return columns.mean() * 8 + 4, rows.mean() * 8 + 4


def teach_aligned(service: Service, taught: Path, *, align: bool) -> None:
    """Teach again, with or without placing parts, and judge by it."""
    settings = service.engine.settings
    scene = settings.scene.model_copy(update={"align": align})
    service.engine.settings = settings.model_copy(update={"scene": scene})
    teach(images_in(taught.with_name("good")), service.engine, service.store, "pytest", untracked)
    service.engine.activate(service.store.current())


def test_a_mark_on_a_moved_part_teaches_the_marked_place(placing: Service) -> None:
    for number in (610, 611, 612):
        mark(placing, f"d{number}", number)
    placing.recalibrate()
    for number in (610, 611, 612):
        assert middle(placing, f"d{number}") == pytest.approx(BACK, abs=14)


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
