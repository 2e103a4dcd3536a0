"""Labelled images of other tools are imported: their parts taught, their defects remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import frame, rows, untracked
from pictures import INPUT_PX, png
from typer.testing import CliRunner

from daemon import build
from daemon.cli.main import app
from daemon.datasets import imported
from daemon.datasets.labelled import LabelsError
from daemon.datasets.readers import lookout, mvtec
from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.inference import scene_records
from daemon.learning import revocation
from daemon.learning.teach import teach
from daemon.ledger.records import Box
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from memory.defects import box_mask
from memory.errors import DriftlineError
from memory.extract import Extractor
from policies.admission import Hold


def mask() -> bytes:
    drawn = np.zeros((INPUT_PX, INPUT_PX), dtype=np.uint8)
    drawn[INPUT_PX // 8 : INPUT_PX // 2, INPUT_PX // 4 : INPUT_PX * 3 // 4] = 255
    return cv2.imencode(".png", drawn)[1].tobytes()


def tree(root: Path) -> Path:
    """A small data set as MVTec AD has it."""
    files = {f"train/good/{n:03d}.png": png(n) for n in range(10)}
    files |= {"test/good/000.png": png(50), "test/burr/000.png": png(610, STEADY, Flaw.BURR)}
    files |= {"ground_truth/burr/000_mask.png": mask(), "license.txt": b"text", "test/burr/notes.txt": b"text"}
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_an_mvtec_folder_is_read(tmp_path: Path) -> None:
    found = mvtec.read(tree(tmp_path))
    assert [one.defective for one in found.images].count(False) == 11
    assert found.ignored == (f"{tmp_path / 'test/burr/notes.txt'}: not named as an image",)
    (defect,) = (one for one in found.images if one.defective)
    assert defect.path == tmp_path / "test/burr/000.png"
    assert defect.box == pytest.approx((0.25, 0.125, 0.75, 0.5))


def line_of(image: str, kind: str, **also: object) -> str:
    labels = {"source-ref": f"s3://bucket/project/{image}", "auto-label": 1}
    return json.dumps(labels | {"auto-label-metadata": {"class-name": kind, "type": "groundtruth/image"}} | also)


def test_a_lookout_manifest_is_read(tmp_path: Path) -> None:
    tree(tmp_path)
    manifest = tmp_path / "my.manifest"
    lines = [line_of(f"train/good/{n:03d}.png", "normal") for n in range(10)]
    coloured = np.full((INPUT_PX, INPUT_PX, 3), 255, dtype=np.uint8)
    coloured[INPUT_PX // 2 :, : INPUT_PX // 4] = (44, 160, 44)
    (tmp_path / "mask.png").write_bytes(cv2.imencode(".png", coloured)[1].tobytes())
    lines += ["", line_of("test/burr/000.png", "anomaly", **{"anomaly-mask-ref": "s3://bucket/mask.png"})]
    dark = cv2.imencode(".png", np.where(coloured == 255, np.uint8((200, 10, 0)), np.uint8(255)))[1]
    (tmp_path / "dark.png").write_bytes(dark.tobytes())
    colours = {"0": {"class-name": "BACKGROUND", "hex-color": "#000AC8"}, "1": {"class-name": "a", "hex-color": "#fff"}}
    named = {"anomaly-mask-ref": "/mnt/dark.png", "anomaly-mask-ref-metadata": {"internal-color-map": colours}}
    lines.append(line_of("test/burr/000.png", "anomaly", **named))
    manifest.write_text("\n".join(lines))
    images = lookout.read(manifest, tmp_path).images
    assert [one.defective for one in images] == [False] * 10 + [True] * 2
    for one in images[10:]:
        assert one.box == pytest.approx((0, 0.5, 0.25, 1))


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        line_of("gone.png", "normal"),
        line_of("train/good/000.png", "odd"),
        line_of("../x", "normal"),
        json.dumps({"source-ref": f"file://{__file__}", "a-metadata": {"class-name": "normal"}}),
        json.dumps({"source-ref": __file__, "a-metadata": {"class-name": "normal"}}),
    ],
)
def test_a_wrong_line_of_a_manifest_is_told_and_left_out(tmp_path: Path, line: str) -> None:
    (tmp_path / "train").mkdir()
    tree(tmp_path)
    (tmp_path / "my.manifest").write_text(line_of("train/good/001.png", "normal") + "\n" + line)
    found = lookout.read(tmp_path / "my.manifest", tmp_path)
    assert [one.path.name for one in found.images] == ["001.png"]
    (told,) = found.ignored
    assert "line 2" in told
    (tmp_path / "my.manifest").write_text(line)
    with pytest.raises(LabelsError, match="line 1"):
        lookout.read(tmp_path / "my.manifest", tmp_path)


def test_a_data_set_without_good_parts_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="train/good"):
        mvtec.read(tmp_path)
    with pytest.raises(LabelsError, match="No such file"):
        lookout.read(tmp_path / "gone", tmp_path)


def run(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.fixture
def here(settings: Settings, tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that commands find in this folder."""
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(settings.model_dump_json())
    return settings


def test_a_data_set_is_taught_and_its_defects_are_remembered(here: Settings, tmp_path: Path) -> None:
    torn = str(tree(tmp_path / "set") / "test/burr/torn.png")
    Path(torn).write_bytes(b"no image")
    summary = run("import", str(tmp_path / "set"), "--operator", "eva")
    assert (summary["version"], summary["good"], summary["defects"], summary["missed_before"]) == (2, 11, 1, [])
    assert list(summary["refused"]) == [torn]
    opened = open_state(here.state_dir)
    head = opened.store.head()
    assert head is not None
    (defect,) = opened.store.load(head).snapshot.confirmed_defects.defects
    assert (defect.sample[:11], head.cause) == ("import:000@", "import")
    inside = box_mask((0.25, 0.125, 0.75, 0.5), defect.features.grid)
    assert not (defect.mask & ~inside).any(), "what is learned of it lies within its mask"
    (judged,) = rows(opened.ledger, "SELECT * FROM frames WHERE score IS NOT NULL")
    assert (judged["verdict"], judged["asked"], judged["published"], judged["signals"]) == ("NG", 0, 1, None)
    assert not rows(opened.ledger, "SELECT * FROM line_frames"), "it never passed the line"
    again = run("import", str(tmp_path / "set"), "--operator", "eva")
    assert (again["version"], again["defects"], again["not_learned"], again["held"]) == (3, 1, [], None)
    out = run("export", "mvtec", str(tmp_path / "out"))
    assert (out["defect"], out["masks"]) == (1, 1)
    with pytest.raises(DriftlineError, match="new or empty"):
        CliRunner().invoke(app, ["export", "mvtec", str(tmp_path / "out")], catch_exceptions=False)


@pytest.fixture
def burr(tmp_path: Path) -> Path:
    """A defect that another tool's people have marked."""
    path = tmp_path / "burr.png"
    path.write_bytes(png(610, STEADY, Flaw.BURR))
    return path


def taken(service: Service, path: Path, region: Box | None = None) -> imported.Imported:
    return imported.learn(service.engine, service.store, {path: region}, "eva", untracked)


def test_imported_defects_are_seen_in_the_light_of_their_own_good_parts(service: Service, burr: Path) -> None:
    fresh = service.engine.score_image(service.engine.decode(burr.read_bytes()), service.engine.active).score.value  # type: ignore[arg-type]  # it is taught
    for number in range(600, 630):
        service.engine.judge(frame(f"brighter {number}", png(number, Scene(light=1.25))))
    became = taken(service, burr)
    (row,) = rows(service.engine.ledger, "SELECT * FROM frames WHERE imported = 1")
    assert (row["log_ratio"], row["score"]) == (0.0, pytest.approx(fresh))
    assert (became.unlearned, became.version.number) == ((), 2)


def test_what_is_imported_leaves_the_line_s_own_scene_known(service: Service, burr: Path, tmp_path: Path) -> None:
    for number in range(600, 630):
        service.engine.judge(frame(f"before {number}", png(number)))
    (tmp_path / "others").mkdir()
    others = [tmp_path / "others" / f"{number}.png" for number in range(40, 52)]
    for number, path in enumerate(others, 40):
        path.write_bytes(png(number))
    taught = teach(others, service.engine, service.store, "eva", untracked)
    service.engine.activate(service.store.load(taught.version))
    taken(service, burr)
    model = service.store.load(service.store.version(1))
    assert scene_records.monitor(service.engine.ledger, service.store, model, 0).rewarmed_frames == 30


def test_a_defect_that_was_not_learned_is_learned_when_it_is_imported_again(
    service: Service, burr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("daemon.learning.lesson.decide", lambda *_: (Hold("not today"), ()))
        for _ in range(2):
            became = taken(service, burr)
            assert (became.unlearned, became.why) == ((str(burr),), "not today")
    became = taken(service, burr)
    assert (became.unlearned, became.why, became.version.number) == ((), None, 2)
    assert taken(service, burr).version.number == 2, "it is known"
    assert len(rows(service.engine.ledger, "SELECT * FROM feedback")) == 1


def test_a_defect_that_was_revoked_is_learned_anew_as_it_is_marked_now(service: Service, burr: Path) -> None:
    taken(service, burr)
    ids = revocation.answers_of(service.engine.ledger, (), "eva", None, None)
    assert service.store.defects(revocation.revoke(service.engine, service.store, ids, "eva", "wrong file")) == ()
    service.notice_versions()
    marked = taken(service, burr, (0.0, 0.0, 0.5, 0.5)).version
    (defect,) = service.store.load(marked).snapshot.confirmed_defects.defects
    assert not (defect.mask & ~box_mask((0.0, 0.0, 0.5, 0.5), defect.features.grid)).any()


def test_an_image_that_could_not_be_scored_is_scored_when_it_is_imported_again(
    service: Service, burr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as short:
        short.setattr("daemon.inference.looks.scored", full)
        became = taken(service, burr)
    assert "MemoryError" in became.refused[str(burr)]
    assert became.judged == ()
    assert taken(service, burr).unlearned == ()


def test_file_names_of_any_kind_are_imported_and_told(here: Settings, tmp_path: Path) -> None:
    root = tree(tmp_path / "set")
    for old in (root / "train/good/000.png", root / "test/burr/000.png"):
        old.rename(old.with_name(os.fsdecode(b"p\xe4rt[red].png")))
    (root / "test/burr/torn[bold].png").write_bytes(b"no image")
    assert len(run("import", str(root))["refused"]) == 1
    assert [row["part_id"] for row in rows(open_state(here.state_dir).ledger, "SELECT * FROM frames")] == [
        "p\\xe4rt[red]"
    ]
    done = CliRunner().invoke(app, ["import", str(root)], catch_exceptions=False)
    assert "1 defects learned" in done.output
