"""Any timm backbone: made for the input size, read in its own format, with weights from a local file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from memory import weights_path
from memory.errors import DriftlineError, WeightsError
from memory.extract import Extractor
from memory.features import Image

DINOV2 = "vit_small_patch14_dinov2.lvd142m"
DINOV3 = "vit_small_patch16_dinov3.lvd1689m"


def made(model: str, layers: tuple[int, ...], input_px: int, weights: str = "untrained") -> Extractor:
    return Extractor(model=model, layers=layers, weights=weights, input_px=input_px, normalize=True, device="cpu")


def noise(height_px: int, width_px: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def saved(folder: Path, tensors: dict[str, torch.Tensor]) -> str:
    path = folder / "weights.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return str(path)


def test_maps_with_channels_last_are_read_as_timm_says_they_are() -> None:
    """Patches are those that timm's own maps give, each the mean of its neighbourhood."""
    extractor, image = made("mambaout_femto", (1,), 64), noise(64, 64)
    features = extractor(image)
    assert features.grid == (8, 8)
    network = extractor.network
    with torch.inference_mode():
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        (own,) = network.network((batch - network.mean) / network.std)
    assert own.shape == (1, 8, 8, 96), "NHWC"
    middle = own[0, 2:5, 5:8].mean((0, 1)).numpy()
    assert np.allclose(features.to_map(features.patches)[3, 6], middle, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    ("model", "layers", "input_px", "taken", "refused"),
    [
        ("resnet18", (1, 2), 64, [(64, 64), (32, 96), (8, 8)], [(60, 64), (64, 65)]),
        ("resnet18", (1, 2), 60, [(60, 60), (64, 64)], [(60, 64)]),
        ("mambaout_femto", (1, 2), 64, [(64, 64), (32, 96)], [(40, 64)]),
        ("vit_tiny_patch16_224", (3,), 64, [(64, 64)], [(32, 96), (128, 128)]),
        ("inception_v3", (2, 3), 96, [(96, 96)], [(128, 128)]),  # convolutions without a margin
    ],
)
def test_a_network_takes_shapes_that_it_divides_exactly_and_one_of_fixed_size_its_own_alone(
    model: str,
    layers: tuple[int, ...],
    input_px: int,
    taken: list[tuple[int, int]],
    refused: list[tuple[int, int]],
) -> None:
    extractor = made(model, layers, input_px)
    assert [extractor.takes(*shape) for shape in taken] == [True] * len(taken)
    assert [extractor.takes(*shape) for shape in refused] == [False] * len(refused)
    for shape in refused:
        with pytest.raises(DriftlineError, match=rf"an image of \({input_px}, {input_px}, 3\)"):
            extractor(noise(*shape))


@pytest.mark.parametrize(
    ("model", "input_px", "right"), [(DINOV2, 256, 252), (DINOV2, 10, 14), ("vit_tiny_patch16_224", 250, 256)]
)
def test_an_input_that_a_network_does_not_take_is_told_the_right_one(model: str, input_px: int, right: int) -> None:
    with pytest.raises(DriftlineError, match=rf"extractor\.input_px to {right}$"):
        made(model, (2,), input_px)


@pytest.mark.parametrize("model", ["vit_small_patch14_dinov2.lvd142", "resnet-eighteen", ""])
def test_a_name_that_timm_does_not_list_is_told(model: str) -> None:
    with pytest.raises(DriftlineError, match=r"timm\.list_pretrained"):
        made(model, (1,), 64)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "input_px", "saved_px"), [(DINOV2, 56, 56), (DINOV2, 56, 112), (DINOV3, 64, 256)])
def test_dino_takes_weights_from_a_file_of_another_input_size(
    model: str, input_px: int, saved_px: int, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    whole = timm.create_model(model, pretrained=False, img_size=saved_px, num_classes=0)
    extractor = made(model, (3, 5), input_px, saved(tmp_path, whole.state_dict()))
    assert not extractor.untrained
    assert extractor.fingerprint != made(model, (3, 5), input_px).fingerprint
    held = extractor.network.network.state_dict()
    for name in ("blocks.5.mlp.fc2.weight", "patch_embed.proj.weight", "cls_token"):
        assert torch.equal(held[f"model.{name}"], whole.state_dict()[name])
    assert extractor(noise(input_px, input_px)).patches.shape == (16, 2 * 384)


def test_position_embeddings_are_resampled_and_not_taken_at_random(tmp_path: Path) -> None:
    """Those that rise from left to right still do on a grid of half the size."""
    whole = timm.create_model(DINOV2, pretrained=False, img_size=112, num_classes=0)
    state = whole.state_dict()
    columns = torch.cat([torch.zeros(1), torch.arange(8.0).repeat(8)])  # the class token, and 8 × 8 patches
    state["pos_embed"] = columns[None, :, None].expand(1, 65, 384)
    extractor = made(DINOV2, (0,), 56, saved(tmp_path, state))
    embedded = extractor.network.network.state_dict()["model.pos_embed"][0, -16:, 0].reshape(4, 4)
    assert torch.allclose(embedded[0, 1:3], torch.tensor([2.5, 4.5]), atol=0.2)
    assert torch.allclose(embedded, embedded[:1].expand(4, 4), atol=1e-3)


@pytest.mark.parametrize("lost", ["blocks.2.attn.qkv.weight", "pos_embed", "blocks.0.norm1.bias"])
def test_a_file_that_lacks_a_tensor_is_refused_though_timm_would_take_it(lost: str, tmp_path: Path) -> None:
    whole = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=64, num_classes=0)
    state = {name: tensor for name, tensor in whole.state_dict().items() if name != lost}
    with pytest.raises(WeightsError, match=f"1 missing or misshapen, the first 'model.{lost}'"):
        made("vit_tiny_patch16_224", (3,), 64, saved(tmp_path, state))


def test_a_file_of_another_architecture_is_refused(tmp_path: Path) -> None:
    other = timm.create_model("vit_small_patch16_224", pretrained=False, img_size=64, num_classes=0)
    with pytest.raises(WeightsError, match=r"extractor\.model names the architecture"):
        made("vit_tiny_patch16_224", (3,), 64, saved(tmp_path, other.state_dict()))


def test_installed_weights_are_in_their_places() -> None:
    extractor = made(weights_path.LITE, (2, 3), 64, "installed")
    held = extractor.network.network.state_dict()
    brought = torch.load(weights_path.installed(weights_path.LITE), weights_only=True)
    names = {
        "conv_stem.weight": "_conv_stem.weight",
        "blocks.1.1.bn2.running_var": "_blocks.2._bn1.running_var",
        "blocks.3.0.conv_pw.weight": "_blocks.5._expand_conv.weight",
        "blocks.4.2.conv_pwl.weight": "_blocks.10._project_conv.weight",
    }
    for name, its_own in names.items():
        assert torch.equal(held[name], brought[its_own])
    assert extractor(noise(64, 96)).patches.shape == (8 * 12, 40 + 112)


def test_what_no_package_brought_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"set extractor\.model to tf_efficientnet_lite0"):
        made("resnet18", (1,), 64, "installed")
    monkeypatch.setattr(weights_path, "LITE_PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match=r"came no such package"):
        made(weights_path.LITE, (2, 3), 64, "installed")
