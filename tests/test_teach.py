"""Teaching a line from a folder of good parts, at first and anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import make_service, untracked
from lessons import answer, judge, learn, teach_from
from pictures import png

from daemon.datasets.rendered import Flaw, Scene
from daemon.intake.decode import path_text
from daemon.learning.teach import TeachError, draft, images_in, publish
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.errors import ExtractorMismatch
from memory.extract import Extractor


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_or_one_image_folder_teaches_nothing(untaught: Service, tmp_path: Path, count: int) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(png(number))
    with pytest.raises(TeachError, match="image"):
        teach_from(untaught, folder)
    assert untaught.store.newest_number() == 0


def test_bad_files_among_the_taught_are_told_and_skipped(untaught: Service, good_parts: Path) -> None:
    (good_parts / "a-text.png").write_text("text")
    (good_parts / "b-empty.jpg").write_bytes(b"")
    taught = teach_from(untaught, good_parts)
    assert {Path(p).name for p in taught.refused} == {"a-text.png", "b-empty.jpg"}
    assert untaught.engine.ledger.counts()["events.teach_refused"] == 2
    assert len(taught.version.added) == 16


def test_a_file_that_changed_since_it_was_taught_is_not_kept_as_taught(untaught: Service, good_parts: Path) -> None:
    engine, store = untaught.engine, untaught.store
    drafted = draft(images_in(good_parts), engine, store, untracked)
    changed, gone, *_ = (file.path for file in drafted.calibrating.values())
    changed.write_bytes(png(99))
    gone.unlink()
    publish(drafted, engine, store, "pytest")
    untaught.notice_versions()
    assert engine.active is not None
    pictures = engine.pictures(engine.active.sight)
    lost = [name for name in drafted.names if pictures.sample(name) is None]
    assert lost == [path_text(changed), path_text(gone)]


def test_of_very_many_large_parts_some_teach_and_all_calibrate(
    untaught: Service, good_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("memory.features.MOST_PATCHES", "daemon.learning.taught_parts.MOST_PATCHES"):
        monkeypatch.setattr(name, 100)
    monkeypatch.setattr("memory.features.LATTICE", 16)
    monkeypatch.setattr("daemon.learning.taught_parts.MOST_TEACHING", 6)
    snapshot = untaught.store.load(teach_from(untaught, good_parts).version).snapshot
    assert [Path(name).stem for name in snapshot.detector.samples] == ["00", "03", "06", "09", "12", "15"]
    assert len(snapshot.calibration_set.samples) == 16


def test_teaching_anew_keeps_the_defects_and_may_not_forget_one(service: Service, good_parts: Path) -> None:
    judge(service, "d", 610, Scene(), Flaw.BURR)
    answer(service, "d", "defect")
    learn(service)
    taught = teach_from(service, good_parts)
    assert service.store.load(taught.version).snapshot.confirmed_defects.samples == ("d",)
    for number in range(8):
        (good_parts / f"burr{number}.png").write_bytes(png(610, Scene(), Flaw.BURR))
    with pytest.raises(TeachError, match="would be missed: d"):
        teach_from(service, good_parts)


def test_teaching_over_another_extractor_is_refused(
    service: Service, settings: Settings, wire: RedisStreams, good_parts: Path
) -> None:
    del service
    other = Extractor(model="resnet18", layers=(2,), weights="untrained", input_px=64, normalize=True, device="cpu")
    with pytest.raises(ExtractorMismatch):
        teach_from(make_service(settings, other, wire), good_parts)
