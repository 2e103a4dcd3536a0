"""A line's geometry from teach to verdict: bit depth, size, region of interest, and large images in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from conftest import NOW_MS, frame, line_in, make_service, start_line, teach_line, untracked
from pictures import INPUT_PX, encoded, file_of, png

from daemon.datasets.rendered import STEADY, Flaw, part
from daemon.intake.decode import ImageRejected, read
from daemon.intake.onto_canvas import Decoded, onto_canvas
from daemon.learning import answers, revocation
from daemon.learning.rollback import roll_back
from daemon.learning.seen_again import DefectsLost
from daemon.learning.teach import TeachError, images_in, teach
from daemon.ledger.history import newest_events
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.errors import StoreError
from memory.extract import Extractor
from memory.features import Features, Image
from memory.geometry import Geometry, GeometryError
from memory.region import Region
from memory.version import Version
from policies import parity

LEFT = Region((((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
Line = Callable[..., Service]


def small(number: int, flaw: Flaw | None = None, side: int = INPUT_PX) -> Image:
    way = cv2.INTER_AREA if side < 256 else cv2.INTER_CUBIC
    return cv2.resize(part(number, STEADY, flaw), (side, side), interpolation=way)


@pytest.fixture
def line(settings: Settings, extractor: Extractor, wire: RedisStreams) -> Line:
    """A service whose line was taught from files with this content, in this region."""

    def made(files: Iterable[bytes], region: Region | None = None, **changed: object) -> Service:
        ours = Settings.model_validate(settings.model_dump() | changed)
        teach_line(ours, extractor, files, region)
        service = make_service(ours, extractor, wire)
        service.start()
        return service

    return made


def head(service: Service) -> Version:
    version = service.store.head()
    assert version is not None
    return version


def geometry(service: Service) -> Geometry:
    return Geometry.of(head(service).geometry, INPUT_PX)


def sixteen(image: Image, bits: int) -> bytes:
    """A grey image in so many bits, in a PNG of 16 that does not say how many."""
    return file_of((image[:, :, 1].astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16))


@pytest.mark.slow
def test_a_camera_of_any_depth_is_judged_as_one_of_eight_bits(line: Line, tmp_path: Path) -> None:
    looked_at = {500: small(500), 610: small(610, Flaw.BURR)}
    eight = line([file_of(small(n)[:, :, 1]) for n in range(16)], state_dir=tmp_path / "8" / "state")
    plain = {n: eight.engine.judge(frame(f"f{n}", file_of(image[:, :, 1]))) for n, image in looked_at.items()}
    for bits in (10, 12, 14, 16):
        goods, state_dir = [sixteen(small(n), bits) for n in range(16)], tmp_path / f"{bits}" / "state"
        deep = line(goods, source={"bits": bits}, state_dir=state_dir)
        for number, image in looked_at.items():
            seen = deep.engine.judge(frame(f"f{number}", sixteen(image, bits)))
            assert seen.verdict == plain[number].verdict
            assert seen.score == pytest.approx(plain[number].score, rel=0.02)


def test_the_depth_is_found_in_the_taught_parts_and_fixed(line: Line) -> None:
    service = line([sixteen(small(n), 12) for n in range(16)])
    assert geometry(service).bits == 12
    assert service.engine.judge(frame("dark", sixteen(small(500) // 2, 12))).verdict != "UNKNOWN"
    beyond = service.engine.judge(frame("beyond", sixteen(small(500), 16)))
    assert beyond.verdict == "UNKNOWN"
    assert "4095 (12 bits), as taught" in beyond.reason


def test_a_large_jpeg_is_judged_as_its_whole_pixels_are(line: Line) -> None:
    """Decoded to a fraction: the canvas and its score hardly differ, and the size is still checked."""
    files = {n: jpeg(enlarged(n, Flaw.BURR if n == 610 else None)) for n in (*range(12), 610)}
    service = line([files[n] for n in range(10)])
    taught, source = geometry(service), service.engine.settings.source
    assert taught.shrink == 2
    for n, data in files.items():
        fraction, whole = (onto_canvas(data, each, source) for each in (taught, replace(taught, shrink=1)))
        assert np.abs(fraction.astype(int) - whole).mean() < 1
        assert np.abs(fraction.astype(int) - whole).max() <= 16
        by_jpeg, by_png = (
            service.engine.judge(frame(f"{kind}{n}", each)) for kind, each in (("jpeg", data), ("png", png_of(data)))
        )
        assert by_jpeg.verdict == by_png.verdict == ("NG" if n == 610 else "OK")
        assert n < 10 or by_jpeg.score == pytest.approx(by_png.score, rel=0.05)  # a taught one is its own neighbour
    other = service.engine.judge(frame("other", jpeg(enlarged(0)[:-8])))
    assert "264×264 px, as taught; came 264×256 px" in other.reason


def enlarged(number: int, flaw: Flaw | None = None) -> Image:
    return cv2.resize(part(number, STEADY, flaw), (4 * INPUT_PX + 8,) * 2, interpolation=cv2.INTER_CUBIC)


def jpeg(image: Image) -> bytes:
    return encoded(PIL.Image.fromarray(image), "JPEG", quality=92)


def png_of(data: bytes) -> bytes:
    return file_of(read(data, 10**6).pixels)


def test_only_who_is_taught_jpegs_decodes_them_smaller(line: Line) -> None:
    service = line([png_of(jpeg(enlarged(n))) for n in range(4)])
    assert geometry(service).shrink == 1


def test_images_that_are_alike_when_decoded_smaller_are_compared_whole(line: Line) -> None:
    """What a network of a fine scale would see, a survey at a fraction does not."""
    slope = np.add.outer(np.arange(64), np.arange(64)).repeat(8, axis=0).repeat(8, axis=1)  # a level for each block
    plain = np.repeat(slope[:, :, None], 3, axis=2).astype(np.uint8) + 60
    marked = plain.copy()
    marked[8:16, 8:16] += (20 * (np.indices((8, 8)).sum(axis=0) % 2)[:, :, None]).astype(np.uint8)
    marked[8:16, 8:16] -= 10
    files = [encoded(PIL.Image.fromarray(image), "JPEG", quality=100) for image in (plain, marked)]
    assert len({read(data, 10**6, (256, 256)).pixels.tobytes() for data in files}) == 1
    assert len({read(data, 10**6).pixels.tobytes() for data in files}) == 2
    copies = [encoded(PIL.Image.fromarray(image), "JPEG", quality=100, comment=b"again") for image in (plain, marked)]
    service = line([*files, *copies])
    assert len(head(service).added) == 2
    refused = newest_events(service.engine.ledger, ["teach_refused"], 5)
    assert ["it is the same image as" in event.detail["reason"] for event in refused] == [True, True]


def test_an_image_of_another_size_is_unknown_and_says_what_to_do(service: Service, untaught: Service) -> None:
    del untaught
    seen = service.engine.judge(frame("f", file_of(small(500, side=80))))
    assert seen.verdict == "UNKNOWN"
    assert "64×64 px, as taught; came 80×80 px" in seen.reason
    assert "teach again" in seen.reason


def test_one_image_of_another_camera_is_left_out_and_told(line: Line) -> None:
    service = line([*(png(n) for n in range(10)), file_of(small(3, side=100))])
    (event,) = newest_events(service.engine.ledger, ["teach_refused"], 5)
    assert "64×64 px, as most of the folder; came 100×100 px" in event.detail["reason"]
    assert len(head(service).added) == 10


def test_images_of_many_sizes_are_taken_as_they_come(line: Line) -> None:
    service = line([file_of(small(n, side=60 + n)) for n in range(10)])
    assert geometry(service).image_px is None
    assert service.engine.judge(frame("f", file_of(small(500, side=100)))).verdict == "OK"


@pytest.mark.parametrize(
    ("files", "came"),
    [
        ([png(0)] * 10, "1 usable, 9 refused"),
        ([file_of(np.full((64, 64, 3), n, np.uint8)) for n in range(9)], "0 usable"),
    ],
)
def test_copies_and_blank_images_teach_nothing(line: Line, files: list[bytes], came: str) -> None:
    with pytest.raises(TeachError, match=came):
        line(files)


def test_a_black_frame_is_unknown(service: Service) -> None:
    rng = np.random.default_rng(0)
    black = np.clip(rng.normal(3, 2, (INPUT_PX, INPUT_PX, 3)), 0, 255).astype(np.uint8)
    seen = service.engine.judge(frame("f", file_of(black)))
    assert (seen.verdict, "lens cap" in seen.reason) == ("UNKNOWN", True)


def test_a_camera_that_hangs_is_unknown_until_it_gives_another_image(service: Service) -> None:
    verdicts = [service.engine.judge(frame(f"f{i}", png(500))) for i in range(4)]
    assert [seen.verdict for seen in verdicts] == ["OK", "OK", "UNKNOWN", "UNKNOWN"]
    assert "the very same one, 3 times or more; look whether the camera hangs" in verdicts[-1].reason
    assert service.engine.judge(frame("next", png(501))).verdict == "OK"
    assert service.engine.judge(frame("after", png(500))).verdict == "OK"


def test_what_moves_outside_the_region_changes_nothing(line: Line, rng: np.random.Generator) -> None:
    service = line([png(n) for n in range(16)], LEFT)
    for number, flaw in ((500, None), (610, Flaw.BURR)):
        image = small(number, flaw)
        records = []
        for turn in range(2):
            image[:, INPUT_PX // 2 :] = rng.integers(0, 256, (INPUT_PX, INPUT_PX // 2, 3))
            service.engine.rebuild_monitor()
            assert service.engine.active
            scored = service.engine.score_image(service.engine.decode(file_of(image)), service.engine.active)
            records.append((scored.score.value, scored.signals.values.tolist(), scored.signals.light.tolist()))
            del turn
        assert records[0] == records[1]


def test_only_patches_in_the_region_are_taught(line: Line) -> None:
    service = line([png(n) for n in range(16)], LEFT)
    snapshot = service.store.load(head(service)).snapshot
    for features in snapshot.calibration_set.features:
        assert (features.cells % features.grid[1] < features.grid[1] // 2).all()
        assert len(features) == features.grid[0] * features.grid[1] // 2
    assert Region.of(head(service).geometry["region"]) == LEFT


def test_an_empty_region_is_refused(line: Line) -> None:
    with pytest.raises(GeometryError, match="at least one patch"):
        line([png(n) for n in range(4)], Region(ignore=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),)))


def burr(service: Service, name: str, data: bytes) -> None:
    service.engine.judge(frame(name, data))
    answers.record(service.engine.ledger, answers.answer(name, "defect", "anna"), NOW_MS)


def again(service: Service, region: Region | None, folder: Path) -> None:
    teach(images_in(folder), service.engine, service.store, "pytest", untracked, region)
    service.engine.activate(service.store.load(head(service)))


def test_confirmed_defects_are_seen_again_in_a_new_region(service: Service, good_parts: Path) -> None:
    for number in (610, 611, 612):
        burr(service, f"d{number}", png(number, STEADY, Flaw.BURR))
    service.recalibrate()
    before = service.store.load(head(service)).snapshot.confirmed_defects
    inner = Region((((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)),))
    again(service, inner, good_parts)
    after = service.store.load(head(service)).snapshot.confirmed_defects
    assert after.samples == before.samples == ("d610", "d611", "d612")
    for defect in after.defects:
        assert len(defect.features) < defect.features.grid[0] * defect.features.grid[1]
    edge = Region((((0.0, 0.0), (0.2, 0.0), (0.2, 1.0), (0.0, 1.0)),))
    with pytest.raises(DefectsLost, match="3 are gone"):
        again(service, edge, good_parts)


def test_defects_seen_whole_are_kept_where_jpegs_are_decoded_smaller(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No image is asked for that may be gone, by a new teach or by a rollback."""
    with monkeypatch.context() as before:
        before.setattr("memory.geometry._shrink", lambda *_: 1)
        service = line([jpeg(enlarged(n)) for n in range(10)])
    burr(service, "d", jpeg(enlarged(610, Flaw.BURR)))
    service.recalibrate()
    kept = service.engine.ledger.frame("d")
    assert kept is not None
    assert kept.kept is not None
    service.engine.kept.drop(kept.kept)
    folder = tmp_path / "again"
    folder.mkdir()
    for n in range(10):
        (folder / f"{n}.jpg").write_bytes(jpeg(enlarged(n)))
    again(service, None, folder)
    assert geometry(service).shrink == 2
    assert service.store.load(head(service)).snapshot.confirmed_defects.samples == ("d",)
    back = roll_back(service.store, service.engine.ledger, 1, "anna", NOW_MS)
    assert service.store.load(back).snapshot.confirmed_defects.samples == ("d",)


def test_a_rollback_to_another_geometry_forgets_no_defect(service: Service, good_parts: Path) -> None:
    again(service, LEFT, good_parts)
    back = roll_back(service.store, service.engine.ledger, 1, "anna", NOW_MS)
    assert back.geometry == service.store.version(1).geometry
    service.engine.activate(service.store.load(back))
    burr(service, "d", png(610, STEADY, Flaw.BURR))
    service.recalibrate()
    with pytest.raises(StoreError, match="never seen under it"):
        roll_back(service.store, service.engine.ledger, 2, "anna", NOW_MS)


SIDE_PX = 528  # 132 × 132 patches: in four tiles, and too many to keep all


def large_in(folder: Path) -> Settings:
    """A line whose images are judged at full resolution."""
    return line_in(folder, scene={"scale": 1.0})


@pytest.fixture(scope="module")
def taught_large(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Path:
    """The state folder of a line of large images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drift.reference.SIMULATED_PARTS", 0)  # causes of drift are tried elsewhere
        files = (file_of(small(n, side=SIDE_PX)) for n in range(8))
        return teach_line(large_in(tmp_path_factory.mktemp("large")), extractor, files)


@pytest.fixture
def large(taught_large: Path, extractor: Extractor, wire: RedisStreams, tmp_path: Path) -> Service:
    """A started service of a line of large images."""
    return start_line(taught_large, large_in(tmp_path), extractor, wire)


def test_a_defect_is_found_wherever_it_lies_on_tiles(large: Service) -> None:
    active = large.engine.active
    assert active is not None
    assert len(active.sight.canvas.tiling.starts) == 4
    middle = SIDE_PX // 2
    scores = []
    for offset in range(-20, 21, 5):
        image = small(500, side=SIDE_PX)
        x, y = middle + offset, middle + 90
        image[y : y + 24, x : x + 24] = (255, 0, 255)
        scored = large.engine.score_image(large.engine.decode(file_of(image)), active)
        row, column = np.unravel_index(scored.score.map.argmax(), scored.score.map.shape)
        assert abs(row * 4 - y - 12) <= 20
        assert abs(column * 4 - x - 12) <= 20
        scores.append(scored.score.value)
    assert min(scores) > 0.9 * max(scores)


def test_a_large_image_is_kept_by_some_of_its_patches(large: Service) -> None:
    snapshot = large.store.load(head(large)).snapshot
    for features in snapshot.calibration_set.features:
        assert features.whole == (SIDE_PX // 4) ** 2
        assert len(features) < 2_000


def test_a_large_part_s_score_is_the_same_whole_and_thinned(large: Service) -> None:
    snapshot = large.store.load(head(large)).snapshot
    calibration, detector = snapshot.calibration_set, snapshot.detector
    assert large.engine.active
    pictures = large.engine.pictures(large.engine.active.sight)
    for sample, view in zip(calibration.samples[:3], calibration.views[:3], strict=True):
        image = pictures.sample(sample)
        assert image is not None
        whole = large.engine.extractor.features(image, large.engine.active.sight.canvas.tiling)
        full = detector.score_without(type(view)(whole, reference=view.features), sample).value
        assert detector.score_without(view, sample).value == pytest.approx(full, rel=1e-5)


def test_a_large_line_learns_forgets_and_is_rebuilt(large: Service) -> None:
    for number in (610, 611, 612):
        burr(large, f"d{number}", file_of(small(number, Flaw.BURR, SIDE_PX)))
    large.recalibrate()
    learned = large.store.load(head(large)).snapshot.confirmed_defects
    assert len(learned.samples) == 3
    assert all(len(defect.features) < 2_000 for defect in learned.defects)
    ids = revocation.answers_of(large.engine.ledger, (), "anna", None, None)
    revocation.revoke(large.engine, large.store, ids, "engineer", "careless")
    assert large.store.load(head(large)).snapshot.confirmed_defects.samples == ()


def test_a_version_without_a_geometry_resamples_as_it_was_taught(settings: Settings, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (230, 630, 3), dtype=np.uint8)
    seen = onto_canvas(file_of(image), Geometry.of({}, 256), settings.source)
    assert np.array_equal(seen, cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA))


def test_a_large_part_kept_by_some_patches_looks_as_it_did_whole(large: Service) -> None:
    model = large.store.load(head(large))
    assert large.engine.active
    sight = large.engine.active.sight
    pictures = large.engine.pictures(sight)

    def whole(sample: str) -> Features | None:
        image = pictures.sample(sample)
        return None if image is None else large.engine.extractor.features(image, sight.canvas.tiling)

    compared = parity.compare(model, whole)
    assert (compared.gone, compared.differing) == ((), ())
    assert compared.shift < 0.01


def test_a_depth_that_is_set_holds_though_every_taught_file_states_its_own(line: Line) -> None:
    service = line([file_of(small(n)[:, :, 1]) for n in range(16)], source={"bits": 12})
    plain = service.engine.judge(frame("plain", file_of(small(500)[:, :, 1])))
    deep = service.engine.judge(frame("deep", sixteen(small(500), 12)))
    assert deep.score == pytest.approx(plain.score, rel=0.02)


def test_a_file_without_a_depth_is_unknown_where_every_taught_one_states_its_own(service: Service) -> None:
    seen = service.engine.judge(frame("f", sixteen(small(500), 12)))
    assert (seen.verdict, "set source.bits" in seen.reason) == ("UNKNOWN", True)


def test_what_was_refused_for_the_version_before_is_decoded_again(service: Service) -> None:
    refused: Future[Decoded] = Future()
    refused.set_exception(ImageRejected(expected="80×80 px", came="64×64 px", do="teach again"))
    assert service.engine.judge(frame("f", png(500)), refused).verdict == "OK"


def half_dark(number: int) -> bytes:
    image = small(number)
    image[:, INPUT_PX // 2 :] //= 4
    return file_of(image)


def test_the_light_of_another_region_is_not_taken_for_a_change(line: Line, tmp_path: Path) -> None:
    service = line([half_dark(n) for n in range(16)])
    for number in range(500, 510):
        service.engine.judge(frame(f"w{number}", half_dark(number)))
    again(service, LEFT, tmp_path / "good")
    assert service.engine.active
    assert np.abs(service.engine.active.monitor.gain).max() < 0.05
    verdicts = [service.engine.judge(frame(f"l{number}", half_dark(number))).verdict for number in range(510, 520)]
    assert verdicts.count("NG") <= 3
