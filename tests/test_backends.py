"""A quicker backend gives the reference's features, or says why it cannot."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pictures import INPUT_PX, png

from daemon.intake.decode import decode
from memory import backends
from memory.backends import Backend, compiled
from memory.errors import DriftlineError
from memory.extract import Extractor
from memory.features import Image
from memory.runtime import compute_alone

THREADS = 2


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [decode(png(number), INPUT_PX, 10**6) for number in range(4)]


def made(name: str, extractor: Extractor, kept: Path, images: list[Image]) -> Backend:
    return compiled(name, lambda: extractor.network, (INPUT_PX, INPUT_PX), THREADS, kept, lambda: images)


def apart(one: Extractor, other: Extractor, images: list[Image]) -> float:
    """How far features are from the reference's, as a share of their length."""
    pairs = [(one(i).patches, other(i).patches) for i in images]
    return float(np.mean([np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in pairs]))


@pytest.mark.parametrize(("name", "near"), [("openvino", 1e-4), ("onnx", 1e-4), ("openvino-int8", 0.05)])
def test_a_backend_is_near_the_reference(
    name: str, near: float, extractor: Extractor, images: list[Image], tmp_path: Path
) -> None:
    quick = extractor.on(made(name, extractor, tmp_path / "kept", images))
    assert apart(extractor, quick, images) < near
    assert quick(images[0]).grid == extractor(images[0]).grid
    assert (quick.fingerprint, quick.backend.name) == (extractor.fingerprint, name)
    first = quick(images[0]).patches
    quick(images[1])
    assert np.array_equal(first, quick(images[0]).patches)


@pytest.mark.parametrize("name", ["openvino", "openvino-int8", "onnx"])
def test_a_thread_that_computes_alone_computes_the_same(
    name: str, extractor: Extractor, images: list[Image], tmp_path: Path
) -> None:
    quick = made(name, extractor, tmp_path / "kept", images)
    with ThreadPoolExecutor(1, initializer=compute_alone) as one:
        assert np.array_equal(quick(np.stack(images)), one.submit(quick, np.stack(images)).result())


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_a_batch_of_tiles_is_that_of_its_tiles_in_the_shape_compiled_for(
    name: str, extractor: Extractor, images: list[Image], tmp_path: Path
) -> None:
    wide = np.stack(images)[:, :32]
    quick = extractor.on(compiled(name, lambda: extractor.network, (32, INPUT_PX), THREADS, tmp_path / "kept", list))
    patches = quick.tiles(wide)
    assert patches.shape == extractor.tiles(wide).shape
    assert np.allclose(patches, extractor.tiles(wide), atol=0.01, rtol=0.01)
    assert all(np.array_equal(quick(one).patches, patches[number]) for number, one in enumerate(wide))
    with pytest.raises(DriftlineError, match=r"\(32, 64, 3\), for which the backend is compiled"):
        quick.tiles(np.stack(images))


def test_frames_are_judged_while_a_version_is_compared(
    extractor: Extractor, images: list[Image], tmp_path: Path
) -> None:
    quick = made("openvino", extractor, tmp_path / "kept", images)
    batches = [image[None] for image in images]
    alone = [quick(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(quick, batches * 20))
    assert all(np.array_equal(one, alone[i % len(images)]) for i, one in enumerate(together))


def test_eight_bits_are_spread_once(extractor: Extractor, images: list[Image], tmp_path: Path) -> None:
    kept = tmp_path / "backends" / "kept"
    first = made("openvino-int8", extractor, kept, images)
    again = made("openvino-int8", extractor, kept, [])
    batch = np.stack(images)
    assert np.array_equal(first(batch), again(batch))
    assert [p.name for p in kept.parent.iterdir()] == ["kept"]
    (kept / "network.xml").write_text("torn")
    with pytest.raises(DriftlineError, match="remove that folder"):
        made("openvino-int8", extractor, kept, [])


def test_eight_bits_move_no_part_s_material(
    extractor: Extractor, images: list[Image], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rounding that adds up over all patches would look like another material to the charts of drift. And what
    `driftline teach --json` answers stands alone: NNCF would tell its progress beside it."""
    exact, rounded = extractor.backend(np.stack(images)), made("openvino-int8", extractor, tmp_path / "k", images)
    moved = (rounded(np.stack(images)) - exact).mean(axis=(0, 1))
    assert np.abs(moved / exact.std(axis=(0, 1))).max() < 1e-3
    assert capfd.readouterr().out == ""


def test_two_processes_may_convert_a_network_at_once(
    extractor: Extractor, images: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service and the console take up the same new version."""
    first, exists = made("openvino", extractor, tmp_path / "kept", images), Path.exists
    with monkeypatch.context() as patch:
        unseen = [True]  # as the second process looks, there is none yet
        patch.setattr(
            Path, "exists", lambda path: exists(path) and not (path.name == "kept" and unseen and unseen.pop())
        )
        second = made("openvino", extractor, tmp_path / "kept", images)
        assert not unseen
    assert np.array_equal(first(np.stack(images)), second(np.stack(images)))
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_processor_without_bfloat16_is_told(
    extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = type(backends.library("openvino").Core())
    monkeypatch.setattr(core, "get_property", lambda *_: ["FP32"])
    with pytest.raises(DriftlineError, match="bfloat16"):
        made("openvino-bf16", extractor, tmp_path / "kept", [])


@pytest.mark.parametrize(("name", "extra"), [("openvino-int8", "openvino"), ("onnx", "onnx")])
def test_a_library_that_is_not_installed_is_named(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, backends.LIBRARIES[name][0], None)
    with pytest.raises(DriftlineError, match=rf"pip install 'driftline\[{extra}\]'"):
        backends.library(name)


def test_nobody_is_told_how_it_is_used() -> None:
    backends.library("openvino")
    with pytest.raises(ImportError):
        __import__("openvino_telemetry")
