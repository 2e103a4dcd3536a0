"""The extractor: deterministic features, a fingerprint of all that matters, and weights that fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import INPUT_PX
from safetensors.torch import save_file

from daemon.datasets.rendered import Flaw, part
from memory.canvas import canvas_of
from memory.errors import DriftlineError, WeightsError
from memory.extract import Extractor
from memory.features import Features
from memory.geometry import Geometry
from memory.packed import Packed
from memory.runtime import compute_alone
from memory.tiny import trained


def test_features_are_deterministic_exact_in_float16_and_row_major(extractor: Extractor) -> None:
    image = part(1)[:: 256 // INPUT_PX, :: 256 // INPUT_PX].copy()
    one, two = extractor(image), extractor(image.copy())
    assert np.array_equal(one.patches, two.patches)
    assert np.array_equal(one.patches, one.patches.astype(np.float16).astype(np.float32))
    assert one.grid[0] * one.grid[1] == len(one.patches)
    marked = image.copy()
    marked[:8, -8:] = 255
    moved = np.abs(extractor(marked).patches - one.patches).sum(1).reshape(one.grid)
    row, column = np.unravel_index(moved.argmax(), one.grid)
    assert row < one.grid[0] / 2 < column


def test_tiles_of_another_shape_have_a_grid_of_their_own(extractor: Extractor) -> None:
    wide = np.stack([part(number)[:32, :96] for number in (1, 2)])
    patches = extractor.tiles(wide)
    assert extractor.grid_of(32, 96) == (8, 24)
    assert (extractor.stride_px, extractor.multiple_px) == (4, 4)
    assert patches.shape == (2, 8 * 24, 64)
    for number, image in enumerate(wide):
        alone = extractor(image)
        assert alone.grid == (8, 24)
        assert np.allclose(alone.patches, patches[number], atol=0.01, rtol=0.01)
    marked = wide[0].copy()
    marked[8:16, 72:80] = 255
    moved = np.abs(extractor(marked).patches - extractor(wide[0]).patches).sum(1).reshape(8, 24)
    row, column = np.unravel_index(moved.argmax(), moved.shape)
    assert (row in (2, 3), column in (18, 19)) == (True, True)


TINY: dict[str, object] = {
    "model": "driftline-tiny",
    "layers": (2, 3),
    "weights": "shipped",
    "input_px": 256,
    "normalize": True,
    "device": "cpu",
}


@pytest.mark.parametrize(("model", "layers", "input_px"), [("resnet18", (1, 2), 60), ("inception_v3", (1,), 96)])
def test_a_square_that_a_network_does_not_divide_exactly_is_seen_as_before(
    model: str, layers: tuple[int, ...], input_px: int, rng: np.random.Generator
) -> None:
    """Versions without a geometry squeeze images to the network's own square, whatever that is."""
    odd = Extractor(model=model, layers=layers, weights="untrained", input_px=input_px, normalize=True, device="cpu")
    image = rng.integers(0, 256, (input_px, input_px, 3), dtype=np.uint8)
    features = odd.features(image, canvas_of(Geometry.squeezed(input_px), odd.shapes).tiling)
    assert features.grid == odd.grid_of(input_px, input_px)
    assert np.array_equal(features.patches, odd(image).patches)


def test_the_fingerprint_names_everything_that_matters(extractor: Extractor) -> None:
    def fingerprint_of(**other: object) -> str:
        defaults: dict[str, object] = {"model": "resnet18", "layers": (1,), "weights": "untrained"}
        defaults |= {"input_px": INPUT_PX, "normalize": True, "device": "cpu"}
        return Extractor(**(defaults | other)).fingerprint  # type: ignore[arg-type]  # plain values by name

    prints = [
        fingerprint_of(),
        fingerprint_of(layers=(2,)),
        fingerprint_of(input_px=96),
        fingerprint_of(normalize=False),
        fingerprint_of(model="resnet34"),
    ]
    assert prints[0] == extractor.fingerprint
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_of_weights_is_loaded_strictly(tmp_path: Path, extractor: Extractor, suffix: str) -> None:
    state = {k: torch.full_like(v, 0.01).contiguous() for k, v in extractor.network.network.state_dict().items()}
    options = {"model": "resnet18", "layers": (1,), "input_px": INPUT_PX, "normalize": True, "device": "cpu"}

    def saved(name: str, tensors: dict[str, torch.Tensor]) -> str:
        path = tmp_path / f"{name}{suffix}"
        if suffix == ".pth":
            torch.save(tensors, path)
        else:
            save_file(tensors, path)
        return str(path)

    loaded = Extractor(weights=saved("whole", state), **options)  # type: ignore[arg-type]  # plain values by name
    assert float(next(iter(loaded.network.network.parameters())).mean()) == pytest.approx(0.01)
    assert not loaded.untrained
    missing = {k: v for k, v in state.items() if k != "conv1.weight"}
    with pytest.raises(WeightsError, match=r"conv1\.weight"):
        Extractor(weights=saved("part", missing), **options)  # type: ignore[arg-type]  # plain values by name
    with pytest.raises(WeightsError, match="misshapen"):
        Extractor(weights=saved("odd", state | {"conv1.weight": torch.ones(3, 3)}), **options)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("weights", ["/nowhere/w.safetensors", __file__])
def test_unreadable_weights_say_so(weights: str) -> None:
    with pytest.raises(WeightsError, match=r"extractor\.weights"):
        Extractor(model="resnet18", layers=(1,), weights=weights, input_px=64, normalize=True, device="cpu")


def test_an_unknown_model_layer_or_image_is_told(extractor: Extractor) -> None:
    for model, layers in (("resnet-eighteen", (1,)), ("resnet18", (99,))):
        with pytest.raises(DriftlineError, match="expected"):
            Extractor(model=model, layers=layers, weights="untrained", input_px=64, normalize=True, device="cpu")
    for shape in ((64, 64), (64, 64, 4)):
        with pytest.raises(DriftlineError, match="expected an image"):
            extractor(np.zeros(shape, dtype=np.uint8))


def test_the_shipped_backbone_needs_no_network_and_sees_what_its_teacher_s_layers_would() -> None:
    shipped = Extractor(**TINY)  # type: ignore[arg-type]  # plain values by name
    assert not shipped.untrained
    assert shipped.fingerprint == Extractor(**TINY).fingerprint  # type: ignore[arg-type]  # as above
    seen = shipped(part(1))
    assert seen.grid == (32, 32)
    assert seen.patches.shape == (1024, 32 + 96)
    scratched, plain = shipped(part(1, flaw=Flaw.SCRATCH)).patches, seen.patches
    moved = np.linalg.norm(scratched - plain, axis=1)
    assert moved.max() > 20 * np.median(moved), "a defect changes the patches that show it"


@pytest.mark.parametrize(
    "wrong", [{"weights": "hub"}, {"model": "resnet18"}, {"layers": (1, 2)}, {"weights": "/nowhere.safetensors"}]
)
def test_shipped_weights_fit_the_shipped_backbone_only(wrong: dict[str, object]) -> None:
    with pytest.raises(DriftlineError, match="driftline-tiny"):
        Extractor(**(TINY | wrong))  # type: ignore[arg-type]  # plain values by name


@pytest.mark.parametrize("cells", [[0, 0, 1], [0, 1, 4], [-1, 0, 1], [2, 1, 0], [0, 1]])
def test_cells_that_are_not_of_the_grid_in_order_are_refused(cells: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Features(np.zeros((3, 2), dtype=np.float32), (2, 2), np.array(cells))


def test_a_region_of_interest_is_laid_out_on_its_grid_and_back() -> None:
    region = Features(np.array([[1.0], [2.0]], dtype=np.float32), (2, 2), np.array([1, 2]))
    assert region.to_map(region.patches[:, 0], outside=-1).tolist() == [[-1, 1], [2, -1]]
    assert region.of_map(np.array([[5, 6], [7, 8]])).tolist() == [6, 7]
    assert not region.complete


@pytest.mark.parametrize("shape", [(256, 256), (160, 160), (96, 288)])
def test_weights_that_are_packed_change_no_feature(shape: tuple[int, int], rng: np.random.Generator) -> None:
    """What is packed for the processor computes what the network does that it is made of, but for rounding."""
    network = trained()
    images = torch.from_numpy(rng.random((2, 3, *shape), dtype=np.float32)).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for packed, plain in zip(Packed(network)(images), network(images), strict=True):
            assert packed.shape == plain.shape
            assert torch.allclose(packed, plain, rtol=1e-4, atol=1e-4)


def test_packed_weights_are_kept_for_the_newest_shapes_alone(rng: np.random.Generator) -> None:
    packed = Packed(trained())
    with torch.inference_mode():
        for side in (32, 64, 96, 128, 160, 192, 32):
            packed(torch.from_numpy(rng.random((1, 3, side, side), dtype=np.float32)))
    assert len(packed._down._packed) == 4  # a line that changes its geometry must not grow


def test_what_a_thread_computes_alone_is_the_same_to_the_bit() -> None:
    """Looks ahead are computed by one thread: by the shipped network they must not differ."""
    shipped = Extractor(
        model="driftline-tiny", layers=(2, 3), weights="shipped", input_px=256, normalize=True, device="cpu"
    )
    image, before = part(3)[:256, :256].copy(), torch.get_num_threads()
    image = np.ascontiguousarray(np.resize(image, (256, 256, 3)))
    try:
        torch.set_num_threads(2)
        together = shipped(image).patches
        with ThreadPoolExecutor(1, initializer=compute_alone) as one:
            alone = one.submit(shipped, image).result().patches
            assert one.submit(torch.get_num_threads).result() == 1
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(alone, together)
