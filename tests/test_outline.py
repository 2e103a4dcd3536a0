"""A line on another backend than torch loads torch when it learns, and judges meanwhile as if it had."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import start_line
from pictures import INPUT_PX, png
from servers import fresh_python

from daemon import build
from daemon.inference.backend import _put_away
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory import conversion, reference_network
from memory.errors import DriftlineError, StoreError
from memory.extract import Extractor
from memory.outline import KeptOutline, Outline, identity

OUTLINE = Outline("a" * 64, 8, 16, fixed_size=False, grids={(64, 64): (8, 8), (80, 16): None})
OF = {"model": "resnet18", "layers": (1,), "weights": "untrained", "input_px": 64, "normalize": True, "device": "cpu"}


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """The line's settings, on OpenVINO."""
    return settings.model_copy(update={"extractor": settings.extractor.model_copy(update={"backend": "openvino"})})


@pytest.fixture
def begun(quick: Settings, taught: Path, extractor: Extractor, wire: RedisStreams) -> Settings:
    """The same, once its service was started: the network is converted, and what is known of it is kept."""
    loaded = build.extractor(quick)
    assert loaded.loaded
    start_line(taught, quick, loaded, wire).engine.ledger.close()
    assert loaded.fingerprint == extractor.fingerprint
    return quick


def script(settings: Settings, then: str) -> str:
    return f"""
import sys
from daemon import build
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from daemon.intake.sources import Frame
settings = Settings.model_validate_json({settings.model_dump_json()!r})
backbone = build.extractor(settings)
service = build.service(settings, open_state(settings.state_dir), backbone, build.redis_streams(settings))
service.start()
judged = service.engine.judge(Frame("f", "f", "camera", 0, {png(504)!r}))
print(judged.verdict, judged.backend)
{then}
"""


def test_a_line_that_only_judges_does_not_import_torch(begun: Settings) -> None:
    said = fresh_python(script(begun, "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"))
    assert said.returncode == 0, said
    assert "OK openvino" in said.stdout


def test_it_sees_a_frame_again_by_torch_when_it_learns(begun: Settings) -> None:
    said = fresh_python(script(begun, "print(service.engine.view(judged) is not None, backbone.loaded)"))
    assert "True True" in said.stdout, said


def test_weights_that_are_others_by_the_same_name_are_refused(begun: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = begun.state_dir / "backends" / "outline.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"fingerprint": "b" * 64}))
    backbone = build.extractor(begun)
    assert not backbone.loaded
    for _ in range(2):
        with pytest.raises(DriftlineError, match="others by the same name"):
            _ = backbone.network
    monkeypatch.setattr(reference_network, "ReferenceNetwork", None)  # they are not loaded again for nothing
    with pytest.raises(DriftlineError, match="others by the same name"):
        _ = backbone.network


def test_memory_that_ran_out_is_no_word_on_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Extractor(**OF)  # type: ignore[arg-type]  # plain values by name

    def full(*_: int) -> tuple[int, int]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")

    with monkeypatch.context() as patch:
        patch.setattr(type(backbone.network), "grid", full)
        with pytest.raises(RuntimeError, match="allocate"):
            backbone.takes(96, 64)
    assert backbone.takes(96, 64)


@pytest.mark.parametrize("refuses", ["network", "outline"])
def test_a_full_disk_stops_no_line(
    refuses: str, quick: Settings, taught: Path, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError(expected="to write", came="No space left on device", do="free disk space")

    monkeypatch.setattr(*((conversion, "convert") if refuses == "network" else (KeptOutline, "write")), full)
    service = start_line(taught, quick, build.extractor(quick), wire)
    told = service.status()
    assert str(told["backend"]).startswith("torch" if refuses == "network" else "openvino")
    assert ("No space left" in str(told["backend_refused"])) == (refuses == "network")


def test_a_damaged_network_that_another_process_has_put_away_is_no_error(tmp_path: Path) -> None:
    _put_away(tmp_path / "gone")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "network.xml").write_text("torn")
    _put_away(tmp_path / "there")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "then",
    [
        "from memory.simplenet import training; training.STEPS = 2;"
        " training.trained(np.random.rand(90, 8).astype('f'), 0)",
        "from memory.extract import Extractor; Extractor(model='driftline-tiny', layers=(2, 3), weights='shipped',"
        " input_px=64, normalize=True, device='cpu')",
    ],
)
def test_who_loads_torch_tells_it_of_its_threads(then: str) -> None:
    said = fresh_python(
        "import os, sys; del os.environ['OMP_NUM_THREADS']\n"
        "from memory.runtime import use_threads\n"
        "import numpy as np\n"
        f"use_threads(3); assert 'torch' not in sys.modules; {then}; import torch; print(torch.get_num_threads())"
    )
    assert said.stdout.strip() == "3", said


def test_other_settings_have_another_outline(begun: Settings) -> None:
    for changed in ({"input_px": 96}, {"normalize": False}, {"layers": [1, 2]}):
        other = begun.model_copy(update={"extractor": begun.extractor.model_copy(update=changed)})
        assert build.extractor(other).loaded


def test_damaged_files_are_made_again(begun: Settings, wire: RedisStreams) -> None:
    """A power cut or a bad disk costs a start some seconds, and not the line."""
    (outline,), networks = begun.state_dir.glob("backends/outline.json"), list(begun.state_dir.glob("backends/*/*.xml"))
    before = outline.read_text()
    outline.write_text("torn")
    weights = networks[0].with_suffix(".bin")
    whole = weights.read_bytes()
    weights.write_bytes(bytes(len(whole)))  # OpenVINO reads such weights, and sees nothing by them
    backbone = build.extractor(begun)
    assert backbone.loaded
    service = build.service(begun, open_state(begun.state_dir), backbone, wire)
    service.start()
    active = service.engine.active
    assert active is not None
    assert active.scorer.extractor.backend.name == "openvino"
    assert (outline.read_text(), weights.read_bytes()) == (before, whole)
    assert [file.parent for file in networks] == list(begun.state_dir.glob("backends/openvino-*-64x64-*"))


def test_a_line_on_torch_keeps_none(settings: Settings) -> None:
    assert build.extractor(settings).loaded
    assert not (settings.state_dir / "backends").exists()


def test_an_outline_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = KeptOutline(tmp_path / "new" / "outline.json", "this")
    assert kept.read() is None
    kept.write(OUTLINE)
    assert kept.read() == OUTLINE
    assert KeptOutline(tmp_path / "new" / "outline.json", "that").read() is None


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"of": "this"}', '{"of": "this", "grids": [[1, 2]]}', '{"of": "this", "grids": []}']
)
def test_a_damaged_outline_is_told(damage: str, tmp_path: Path) -> None:
    (tmp_path / "outline.json").write_text(damage)
    with pytest.raises(DriftlineError, match="what is known of the network"):
        KeptOutline(tmp_path / "outline.json", "this").read()


def test_an_extractor_says_the_same_before_and_after_it_is_loaded(tmp_path: Path) -> None:
    kept = KeptOutline(tmp_path / "outline.json", "this")
    full = Extractor(**OF, kept=kept)  # type: ignore[arg-type]  # plain values by name
    assert full.takes(96, 64)
    assert not full.takes(101, 64)
    assert not full.shapes.fixed
    full.keep_outline()
    light = Extractor(**OF, kept=kept)  # type: ignore[arg-type]  # as above
    told = [(e.fingerprint, e.shapes, e.takes(96, 64), e.grid_of(96, 64), e.takes(101, 64)) for e in (full, light)]
    assert told[0] == told[1]
    assert (full.loaded, light.loaded) == (True, False)
    image = np.full((INPUT_PX, INPUT_PX, 3), 90, dtype=np.uint8)
    assert np.array_equal(light(image).patches, full(image).patches)
    assert light.loaded


def test_what_an_outline_follows_from_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"one")

    def of(**changed: object) -> str:
        return identity(**(OF | changed))  # type: ignore[arg-type]  # plain values by name

    told = {of(), of(model="resnet34"), of(layers=(2,)), of(weights="hub"), of(input_px=96), of(normalize=False)}
    told |= {of(device="auto"), of(weights=str(file)), of(weights="shipped")}
    file.write_bytes(b"two")
    assert len(told | {of(weights=str(file))}) == 10
    with pytest.raises(OSError, match="nowhere"):
        of(weights="/nowhere.pth")
