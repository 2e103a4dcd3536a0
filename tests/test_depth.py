"""Depth beside colour: heights are read, drawn, joined to the colours' features, and judged with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from conftest import frame, start_line, teach_line
from deep_frames import plate, seeing_in, shot, small
from hypothesis import given
from hypothesis import strategies as st
from lessons import answer, learn, teach_from
from pictures import INPUT_PX, file_of

from daemon.datasets.depth_frames import PAGES, joined
from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from daemon.inference.probe_part import probe_part
from daemon.intake.decode import ImageRejected
from daemon.intake.onto_canvas import onto_canvas
from daemon.intake.tiff import read_heights
from daemon.learning.seen_again import DefectsLost
from daemon.learning.teach import draft, images_in
from daemon.reporting.geometry_text import geometry_text
from daemon.service import Service
from daemon.settings.models import SourceSettings
from daemon.status import probe
from daemon.streams import RedisStreams
from memory.canvas import canvas_of
from memory.depth import DepthWindow, Heights, Measured, NoDepth, filled, odd, turned, window_of
from memory.extract import Extractor
from memory.features import Image, slopes_turned
from memory.geometry import Geometry
from memory.version import Version

SEEING = SourceSettings(page=0, depth_page=1)
WINDOW = DepthWindow(low=0.0, high=10.0, slope=0.1, missing=0.3)
FLAT = Geometry((INPUT_PX, INPUT_PX), (INPUT_PX, INPUT_PX), (INPUT_PX, INPUT_PX), depth=WINDOW)


def ramp(direction_deg: float, side: int = 48) -> Heights:
    """Heights that rise by 0.1 a pixel in a direction, clockwise from the right."""
    y, x = np.mgrid[0:side, 0:side] - side / 2
    rise = np.cos(np.deg2rad(direction_deg)) * x + np.sin(np.deg2rad(direction_deg)) * y
    return Heights((5 + 0.1 * rise).astype(np.float32), 0.0)


# Windows and pictures


def test_a_window_holds_what_was_taught_and_a_margin() -> None:
    level, higher = (
        Heights(np.linspace(low, low + 10, 10_000, dtype=np.float32).reshape(100, 100), 0.1) for low in (0, 5)
    )
    window = window_of([Measured.of(level), Measured.of(replace(higher, missing=0.3))])
    assert (window.low, window.high) == pytest.approx((-1.5, 16.5), abs=0.1)
    assert window.missing == pytest.approx(0.5)
    assert DepthWindow.of(window.to_json()) == window


@pytest.mark.parametrize("count", [9, 32])
def test_a_part_with_stray_heights_does_not_blind_a_version(count: int) -> None:
    usual = [Measured(700 + 0.1 * n, 710 + 0.1 * n, 0.15, 0.05) for n in range(count)]
    for stray in (Measured(700, 5000, 9.0, 0.05), Measured(0, 0, 0.0, 1.0), Measured(-3e29, 710, 1e20, 0.0)):
        assert odd([*usual, stray]) == [count]
        assert window_of([*usual, stray]) == window_of(usual)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40), st.floats(0.5, 5))
def test_parts_that_merely_lie_higher_or_lower_are_not_odd(offsets: list[float], span: float) -> None:
    within = [min(max(each, -span), span) for each in offsets]
    assert odd([Measured(at, at + span, 0.1, 0.0) for at in within]) == []


def test_a_window_is_kept_for_parts_that_lie_within_it() -> None:
    assert WINDOW.holds(replace(WINDOW, low=1.0, high=9.0, slope=0.12, missing=0.2, weight=4.0))
    for other in ({"low": -1.0}, {"high": 11.0}, {"missing": 0.4}, {"slope": 0.01}, {"slope": 0.3}, {"high": 4.0}):
        assert not WINDOW.holds(replace(WINDOW, **other))


def test_flat_parts_make_a_window_too() -> None:
    flat = Heights(np.full((20, 20), 7, np.float32), 0.0)
    picture = window_of([Measured.of(flat)]).picture(flat)
    assert np.ptp(picture.reshape(-1, 3), axis=0).tolist() == [0, 0, 0]


def test_a_picture_shows_how_high_and_how_steep() -> None:
    picture = WINDOW.picture(ramp(0))[10:-10, 10:-10].astype(int)
    assert (np.diff(picture[:, :, 0], axis=1) >= 2).all()  # 2.55 a pixel
    assert picture[:, :, 1] == pytest.approx(128 + 127 * np.sqrt(0.5), abs=1)  # as steep as the window's own
    assert picture[:, :, 2] == pytest.approx(128, abs=1)


def test_what_lies_beyond_the_window_is_drawn_at_its_end() -> None:
    beyond = Heights(np.array([[-5.0, 15.0]] * 2, dtype=np.float32).repeat(8, axis=0).repeat(8, axis=1), 0.0)
    assert set(WINDOW.picture(beyond)[:, :, 0].reshape(-1).tolist()) == {0, 255}


@given(st.floats(0, 360), st.floats(-180, 180))
def test_slopes_turn_with_the_picture(direction_deg: float, turn_deg: float) -> None:
    before, after = (
        np.concatenate([np.zeros((48, 48, 3), np.uint8), WINDOW.picture(ramp(each))], axis=2)[10:-10, 10:-10]
        for each in (direction_deg, direction_deg + turn_deg)
    )
    assert slopes_turned(before, turn_deg)[:, :, 4:].astype(int) == pytest.approx(after[:, :, 4:].astype(int), abs=2)


def test_a_turned_picture_is_that_of_the_turned_part() -> None:
    y, x = np.mgrid[0:64, 0:64] - 31.5
    stepped = ((x > 0) * 2.0 + 0.02 * y + 3).astype(np.float32)
    as_seen, quarter = (
        np.concatenate([np.zeros((64, 64, 3), np.uint8), WINDOW.picture(Heights(each, 0.0))], axis=2)
        for each in (stepped, np.rot90(stepped).copy())
    )
    by_turning = turned(as_seen, 90)[8:-8, 8:-8].astype(int)
    assert by_turning[:, :, 3:] == pytest.approx(np.roll(quarter, 1, axis=0)[8:-8, 8:-8, 3:].astype(int), abs=3)


def test_colours_alone_have_no_slopes_to_turn() -> None:
    assert np.array_equal(slopes_turned(small(0), 30), small(0))


def test_what_was_not_measured_is_as_high_as_the_nearest() -> None:
    heights = np.array([[1, np.nan, np.nan, np.nan, 9]] * 3, dtype=np.float32)
    assert filled(heights)[0].tolist() in ([1, 1, 1, 9, 9], [1, 1, 9, 9, 9])
    assert filled(np.full((2, 2), np.nan, np.float32)).tolist() == [[0, 0], [0, 0]]


# Files


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (np.array([[0, 3.5], [np.nan, np.inf]], np.float32), [[np.nan, 3.5], [np.nan, np.nan]]),
        (np.array([[0, 7], [65535, 1]], np.uint16), [[np.nan, 7], [65535, 1]]),
        (np.array([[-32768, -7], [0, 1]], np.int16), [[np.nan, -7], [np.nan, 1]]),
        (np.array([[1e-3, 2], [3, 4]], np.float64), [[1e-3, 2], [3, 4]]),
        (np.array([[np.finfo("f8").max, 2], [np.finfo("f8").min, 4]], np.float64), [[np.nan, 2], [np.nan, 4]]),
        (np.array([[np.finfo("f4").max, 2], [3, -np.inf]], np.float32), [[np.nan, 2], [3, np.nan]]),
        (np.array([[7, 2**30], [3, 0]], np.uint32), [[7, 2**30], [3, np.nan]]),
    ],
)
def test_heights_are_numbers_of_any_kind(stored: npt.NDArray[np.generic], wanted: list[list[float]]) -> None:
    large = (
        np.kron(stored, np.ones((16, 16), stored.dtype))
        if stored.dtype.kind != "f"
        else stored.repeat(16, 0).repeat(16, 1)
    )
    heights = read_heights(joined(small(0), large), 10_000, 1)
    assert heights[::16, ::16] == pytest.approx(np.array(wanted), nan_ok=True)


def test_of_positions_the_last_is_the_height() -> None:
    positions = np.dstack([np.full((16, 16), 1.0), np.full((16, 16), 2.0), np.full((16, 16), 3.0)]).astype(np.float32)
    file = cv2.imencode(".tiff", positions[:, :, ::-1])[1].tobytes()  # OpenCV turns channels round
    assert read_heights(file, 10_000, 0) == pytest.approx(np.full((16, 16), 3.0))


@pytest.mark.parametrize(
    "page",
    [
        np.zeros((16, 16, 4), np.uint8),
        np.full((16, 16, 3), 9, np.uint8),
        np.full((16, 16, 3), 9, np.uint16),
        np.full((16, 16), 9, np.uint8),
        np.full((16, 16, 3), 9, np.float64),
    ],
)
def test_colours_are_no_heights(page: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ImageRejected, match="one number of 16 bits or more a pixel"):
        read_heights(cv2.imencode(".tiff", page)[1].tobytes(), 10_000, 0)


def test_heights_of_another_size_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.intake.tiff._samples", lambda _: pytest.fail("decoded"))
    with pytest.raises(ImageRejected, match="64×64 px"):
        read_heights(joined(small(0), plate(0)), 10_000, 1, (64, 32))


def test_the_canvas_holds_colours_and_depth() -> None:
    window = DepthWindow(low=15, high=25, slope=0.1, missing=0.3)
    image = onto_canvas(joined(small(0), plate(0)), replace(FLAT, depth=window), SEEING)
    assert image.shape == (INPUT_PX, INPUT_PX, 6)
    assert np.array_equal(image[:, :, :3], small(0))
    assert np.ptp(image[:, :, 3]) > 50
    assert np.array_equal(onto_canvas(joined(small(0), plate(0)), replace(FLAT, depth=None), SEEING), small(0))


def test_what_was_not_measured_does_not_pull_its_surroundings_down() -> None:
    heights = np.full((4 * INPUT_PX, 4 * INPUT_PX), 6, np.float32)
    heights[np.random.default_rng(0).random(heights.shape) < 0.2] = 0
    large = np.kron(small(0), np.ones((4, 4, 1), np.uint8))
    seen = onto_canvas(joined(large, heights), replace(FLAT, image_px=(256, 256)), SEEING)
    assert set(seen[:, :, 3].reshape(-1).tolist()) == {153}  # 0.6 of the window


@pytest.mark.parametrize(
    ("data", "source", "why"),
    [
        (file_of(small(0)), SEEING, "a file without"),
        (joined(small(0), plate(0)), SourceSettings(page=0), "source.depth_page unset"),
        (joined(small(0), plate(0)[::2]), SEEING, "64×32 px"),
        (joined(small(0), np.where(np.arange(64) < 26, plate(0), 0)), SEEING, "at most 30% is missing"),
        (joined(small(0), np.zeros((64, 64), np.float32)), SEEING, "none of it measured"),
        (joined(small(0), plate(0)), SourceSettings(page=0, depth_page=2), "one of 2 pages"),
    ],
)
def test_frames_without_usable_depth_are_refused(data: bytes, source: SourceSettings, why: str) -> None:
    with pytest.raises(ImageRejected, match=why):
        onto_canvas(data, FLAT, source)


def test_a_torn_depth_page_is_refused_and_kills_nothing() -> None:
    whole = joined(small(0), plate(0))
    for size in range(len(whole) - 1, 8, -97):
        with pytest.raises(ImageRejected):
            onto_canvas(whole[:size], FLAT, SEEING)


def test_a_geometry_remembers_its_window_and_older_ones_have_none() -> None:
    assert Geometry.of(FLAT.to_json(), INPUT_PX) == FLAT
    plain = replace(FLAT, depth=None)
    assert "depth" not in plain.to_json()
    assert Geometry.of(plain.to_json(), INPUT_PX) == plain


def test_depth_needs_to_know_the_page_of_the_colours() -> None:
    for pages in ({"depth_page": 1}, {"page": 1, "depth_page": 1}):
        with pytest.raises(ValueError, match="depth_page needs page"):
            SourceSettings.model_validate(pages)


@pytest.mark.parametrize("kind", ["camera", "genicam"])
def test_a_camera_that_sends_pictures_has_no_depth_page(kind: str) -> None:
    with pytest.raises(ValueError, match="depth_page needs kind redis or folder"):
        SourceSettings.model_validate({"kind": kind, **PAGES})


# Features


def test_a_patch_joins_features_of_colours_and_of_depth(extractor: Extractor) -> None:
    picture = WINDOW.picture(ramp(30, INPUT_PX))
    both = extractor(np.concatenate([small(0), picture], axis=2)).patches
    assert np.array_equal(both, np.concatenate([extractor(small(0)).patches, extractor(picture).patches], axis=1))


# A line


@pytest.fixture(scope="module")
def taught_with_depth(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Path:
    return teach_line(seeing_in(tmp_path_factory.mktemp("deep")), extractor, map(shot, range(16)))


@pytest.fixture
def seeing(taught_with_depth: Path, extractor: Extractor, wire: RedisStreams, tmp_path: Path) -> Service:
    """A started line that sees depth."""
    return start_line(taught_with_depth, seeing_in(tmp_path), extractor, wire)


def test_a_dent_that_no_colour_shows_is_flagged(seeing: Service) -> None:
    verdicts = [seeing.engine.judge(frame(f"f{dent}", shot(500, dent))).verdict for dent in (0.0, 3.0)]
    assert verdicts == ["OK", "NG"]


def test_a_defect_of_colour_is_flagged_as_without_depth(seeing: Service) -> None:
    assert seeing.engine.judge(frame("f", shot(610, flaw=Flaw.BURR))).verdict == "NG"


def test_a_frame_without_depth_is_unknown(seeing: Service) -> None:
    seen = seeing.engine.judge(frame("f", file_of(small(500))))
    assert (seen.verdict, "colours and heights in one file" in seen.reason) == ("UNKNOWN", True)


def test_another_light_changes_no_depth(seeing: Service) -> None:
    active = seeing.engine.active
    assert active is not None
    placed = active.sight.place(seeing.engine.decode(shot(500)), seeing.engine.settings.source)
    lit = active.sight.lit(placed, np.full(3, np.log(1.3)))
    assert np.array_equal(lit[:, :, 3:], placed.raw[:, :, 3:])
    assert lit[:, :, :3].mean() == pytest.approx(placed.raw[:, :, :3].mean() / 1.3, rel=0.02)


def test_lessons_and_defects_are_of_depth_too(seeing: Service) -> None:
    assert seeing.engine.judge(frame("dented", shot(500, 3.0))).verdict == "NG"
    answer(seeing, "dented", "defect")
    for number in range(600, 603):
        seeing.engine.judge(frame(f"g{number}", shot(number, scene=Scene(wear=1.0, warmth=1.0))))
        answer(seeing, f"g{number}", "good")
    made = learn(seeing)
    assert isinstance(made, Version)
    assert seeing.store.load(made).snapshot.confirmed_defects.samples == ("dented",)
    assert seeing.engine.judge(frame("again", shot(501, 3.0))).verdict == "NG"


@pytest.mark.parametrize("kept", [True, False])
def test_a_version_that_sees_depth_is_probed(seeing: Service, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    active = seeing.engine.active
    assert active is not None
    if not kept:
        monkeypatch.setattr("daemon.ledger.kept.Pictures.sample", lambda *_: None)
    assert probe(seeing.engine, active)


def test_a_frame_seen_again_has_the_features_it_was_judged_by(seeing: Service) -> None:
    active, judged = seeing.engine.active, seeing.engine.judge(frame("f", shot(500, 3.0)))
    assert active is not None
    seen = seeing.engine.view(judged)
    assert seen is not None
    assert active.model.snapshot.detector.score(seen).value == judged.score


def test_a_probe_part_is_caught(seeing: Service) -> None:
    seeing.engine.judge(frame("f", shot(500)))
    active = seeing.engine.active
    assert active is not None
    probed = probe_part(seeing.engine, active, np.random.default_rng(0))
    assert probed is not None
    assert probed.caught


def slopes_turned_of(slopes: Image, clockwise_deg: float) -> Image:
    """Slopes (H, W, 2) turned."""
    before = np.zeros((*slopes.shape[:2], 4), np.uint8)
    return slopes_turned(np.concatenate([before, slopes], axis=2), clockwise_deg)[:, :, 4:]


def test_a_line_that_places_its_parts_places_their_depth(
    extractor: Extractor, wire: RedisStreams, tmp_path: Path
) -> None:
    def large(number: int, scene: Scene, dent: float) -> bytes:
        # The same dome and dent, turned and shifted as the part is.
        y, x = np.mgrid[0:256, 0:256] - 127.5
        heights = (
            30 + np.sin(x / 12) - (x**2 + y**2) / 2000 - dent * np.exp(-((x - 40) ** 2 + (y + 30) ** 2) / 300)
        ).astype(np.float32)
        turn = cv2.getRotationMatrix2D((127.5, 127.5), -scene.turn_deg, 1.0)
        turn[:, 2] += scene.shift_px
        moved = cv2.warpAffine(heights, turn, (256, 256), borderMode=cv2.BORDER_REPLICATE)
        noise = np.random.default_rng(number).normal(0, 0.02, heights.shape)
        return joined(part(number, scene), (moved + noise).astype(np.float32))

    scene = {"align": True, "scale": 0.5}
    taught = teach_line(
        seeing_in(tmp_path / "a", scene=scene), extractor, (large(number, STEADY, 0.0) for number in range(12))
    )
    line = start_line(taught, seeing_in(tmp_path / "b", scene=scene), extractor, wire)
    active = line.engine.active
    assert active is not None
    lying = replace(STEADY, shift_px=(12.0, -8.0), turn_deg=6.0)
    good, dented, moved, moved_dented = (
        line.engine.score_image(line.engine.decode(large(500, scene, dent)), active).score.value
        for scene in (STEADY, lying)
        for dent in (0.0, 6.0)
    )
    assert max(good, moved) < min(dented, moved_dented)
    source = line.engine.settings.source
    as_taught, placed = (
        active.sight.place(line.engine.decode(large(500, scene, 0.0)), source).raw[20:-20, 20:-20, 4:]
        for scene in (STEADY, lying)
    )
    away = np.abs(as_taught.astype(int) - placed).mean()
    unturned = np.abs(as_taught.astype(int) - slopes_turned_of(placed, lying.turn_deg)).mean()
    assert away < 0.5 * unturned, "slopes point where they did"


def test_few_parts_are_taught_turned_with_their_depth(extractor: Extractor, wire: RedisStreams, tmp_path: Path) -> None:
    taught = teach_line(seeing_in(tmp_path / "few"), extractor, map(shot, range(4)))
    line = start_line(taught, seeing_in(tmp_path / "line"), extractor, wire)
    assert line.engine.judge(frame("f", shot(500))).score is not None


def test_defects_that_were_seen_without_depth_are_not_forgotten(service: Service, tmp_path: Path) -> None:
    service.engine.judge(frame("d", file_of(small(610, flaw=Flaw.BURR))))
    answer(service, "d", "defect")
    learn(service)
    (tmp_path / "deep").mkdir()
    for number in range(8):
        (tmp_path / "deep" / f"{number}.tiff").write_bytes(shot(number))
    service.engine.settings = service.engine.settings.model_copy(update={"source": SEEING})
    with pytest.raises(DefectsLost, match="1 are gone"):
        teach_from(service, tmp_path / "deep")


def test_parts_without_depth_are_told_and_left_out_where_depth_is_taught(untaught: Service, tmp_path: Path) -> None:
    untaught.engine.settings = untaught.engine.settings.model_copy(update={"source": SEEING})
    (folder := tmp_path / "mixed").mkdir()
    for number in range(8):
        (folder / f"{number}.tiff").write_bytes(shot(number))
    (folder / "flat.png").write_bytes(file_of(small(9)))
    made = draft(images_in(folder), untaught.engine, untaught.store, lambda paths, _: paths)
    assert [Path(name).name for name in made.refused] == ["flat.png"]
    assert "with depth, heights from" in geometry_text(
        canvas_of(made.sight.canvas.geometry, untaught.engine.extractor.shapes), None
    )


def test_teaching_again_keeps_what_is_seen_of_depth(seeing: Service, tmp_path: Path) -> None:
    before = seeing.store.current().version.geometry
    (folder := tmp_path / "again").mkdir()
    for number in range(4, 16):
        (folder / f"{number}.tiff").write_bytes(shot(number))
    assert teach_from(seeing, folder).version.geometry == before


def test_a_folder_without_depth_says_why(untaught: Service, tmp_path: Path) -> None:
    untaught.engine.settings = untaught.engine.settings.model_copy(update={"source": SEEING})
    (folder := tmp_path / "flat").mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(file_of(small(number)))
    with pytest.raises(NoDepth, match=r"none of 4, .*png: .*a file without"):
        teach_from(untaught, folder)


def test_an_exported_model_sees_no_depth(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sees colours alone"):
        seeing_in(tmp_path, extractor={"scorer": tmp_path / "model.onnx"})


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_a_quicker_backend_sees_depth_as_the_reference(
    taught_with_depth: Path, extractor: Extractor, wire: RedisStreams, tmp_path: Path, backend: str
) -> None:
    quick = {**seeing_in(tmp_path).extractor.model_dump(mode="json"), "backend": backend}
    line = start_line(taught_with_depth, seeing_in(tmp_path, extractor=quick), extractor, wire)
    active = line.engine.active
    assert active is not None
    assert active.scorer.refused is None
    assert active.scorer.extractor.backend.name == backend
    assert [line.engine.judge(frame(f"f{dent}", shot(500, dent))).verdict for dent in (0.0, 3.0)] == ["OK", "NG"]


@pytest.mark.slow
@pytest.mark.usefixtures("trained_briefly")
@pytest.mark.parametrize("kind", ["padim", "simplenet", "composition"])
def test_other_kinds_see_depth(extractor: Extractor, wire: RedisStreams, tmp_path: Path, kind: str) -> None:
    chosen = {"bank_patches": 400, "lesson_patches": 80, "detector": kind}
    taught = teach_line(seeing_in(tmp_path / "a", memory=chosen), extractor, map(shot, range(24)))
    line = start_line(taught, seeing_in(tmp_path / "b", memory=chosen), extractor, wire)
    good, dented = (line.engine.judge(frame(f"f{dent}", shot(500, dent))).score for dent in (0.0, 4.0))
    assert good is not None
    assert dented is not None
    assert dented > 1.2 * good
