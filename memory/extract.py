"""The extractor: patch features of images; the only module that imports timm."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from memory import tiny
from memory.backends import Backend, PatchNetwork, Torch
from memory.errors import DriftlineError, WeightsError
from memory.features import Features, Image, Patches

UNTRAINED_SEED = 0


class Extractor:
    """Extracts mid-level patch features with a frozen backbone; deterministic on one machine.

    `model` is any timm model, or driftline-tiny, whose weights are `shipped` with Driftline (memory/tiny.py).

    The maps of `layers` become the locally aware patch features of PatchCore (`memory.backends.PatchNetwork`): a patch
    covers `stride_px`, that of the finest map. `multiple_px` is the stride of the coarsest: an image whose sides are
    multiples of it is divided into patches exactly.

    `weights` is `hub` (timm's hub or its local cache), `shipped`, a path to a .safetensors or .pth file, or `untrained`
    (seeded random weights: for demonstrations, by explicit name only). `normalize` applies the backbone's own
    mean and standard deviation; switch it off for weights that have them folded in. `device` is `auto`,
    `cpu`, `cuda`, ...

    Torch computes it in full float32, the reference that every other `backend` must agree with: see `on`.

    Raises WeightsError when weights are missing or do not fit, DriftlineError for a model timm does not know.
    """

    def __init__(
        self, *, model: str, layers: Sequence[int], weights: str, input_px: int, normalize: bool, device: str
    ) -> None:
        self.input_px = input_px
        self.untrained = weights == "untrained"
        self.device = _device(device)
        network = _network(model, tuple(layers), weights).eval().requires_grad_(requires_grad=False)
        config = network.pretrained_cfg
        scaling = (config["mean"], config["std"]) if normalize else ((0.0,) * 3, (1.0,) * 3)
        self.fingerprint = _fingerprint(network, model, tuple(layers), input_px, scaling)
        self.network = PatchNetwork(network, *scaling).eval()
        strides_px = tiny.STRIDES_PX if model == tiny.NAME else network.feature_info.reduction()
        self.stride_px, self.multiple_px = min(strides_px), max(strides_px)
        self._grids: dict[tuple[int, int], tuple[int, int]] = {}
        self.backend: Backend = Torch(self.network, self.device)

    def on(self, backend: Backend) -> Extractor:
        """The same extractor on another backend: nearly the same features, computed faster."""
        other = copy.copy(self)
        other.backend = backend
        return other

    def grid_of(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of the patches of an image of this shape; the first time it computes one."""
        shape = (height_px, width_px)
        if shape not in self._grids:
            self._grids[shape] = self.network.grid(*shape)
        return self._grids[shape]

    def __call__(self, image: Image) -> Features:
        """Features of one RGB image (height_px, width_px, 3) u8, row by row of its grid; raises as `tiles` does."""
        return Features(patches=self.tiles(image[None])[0], grid=self.grid_of(*image.shape[:2]))

    def tiles(self, images: Image) -> Patches:
        """Patches (N, P, D) f32 of RGB images (N, height_px, width_px, 3) u8, row by row of each image's grid.

        The values are those of float16. Raises DriftlineError for another shape, or when the backbone returns values
        beyond float16.
        """
        if images.ndim != 4 or images.shape[3] != 3:
            raise DriftlineError(
                expected="an image of (height_px, width_px, 3)",
                came=f"{images.shape[1:]}",
                do="decode it with daemon.intake.decode",
            )
        patches = torch.from_numpy(self.backend(images)).half().float()
        if not bool(torch.isfinite(patches).all()):
            raise DriftlineError(
                expected="finite features within ±65504 (float16)",
                came="an overflow or NaN from the backbone",
                do="choose other extractor.layers or another extractor.model",
            )
        rounded: Patches = patches.numpy()
        return rounded


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DriftlineError(
            expected="a CUDA device", came="none on this machine", do="set extractor.device to auto or cpu"
        )
    return device


def _network(model: str, layers: tuple[int, ...], weights: str) -> Any:
    if (model == tiny.NAME) != (weights == "shipped"):
        raise WeightsError(
            expected=f"weights `shipped` with {tiny.NAME}, and with no other model",
            came=f"{model} with weights {weights!r}",
            do="set extractor.model and extractor.weights to go together",
        )
    if model == tiny.NAME:
        return tiny.trained(layers)
    import timm  # it takes seconds: driftline-tiny does not need it

    if model not in timm.list_models():
        raise DriftlineError(
            expected="a timm model with features_only support",
            came=f"extractor.model={model!r}",
            do="see timm.list_models()",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        try:
            network = timm.create_model(model, features_only=True, out_indices=layers, pretrained=weights == "hub")
        except (OSError, RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise WeightsError(
                expected=f"{model} with feature layers {list(layers)} and weights {weights!r}",
                came=f"{type(error).__name__}: {str(error)[:300]}",
                do="on a PC without internet copy the weights to a file and set extractor.weights to its path",
            ) from error
    if weights not in {"hub", "untrained"}:
        _load(network, Path(weights))
    return network


def _load(network: torch.nn.Module, path: Path) -> None:
    """Load a local weights file strictly: every tensor of the feature network must be in it."""
    from timm.models import load_state_dict

    try:
        tensors = load_state_dict(str(path), use_ema=False, weights_only=True)
    except Exception as error:  # safetensors, zip and pickle readers each raise their own types
        raise WeightsError(
            expected="a .safetensors or .pth file of weights",
            came=f"{path}: {type(error).__name__}: {error}",
            do="check extractor.weights in config.yaml",
        ) from error
    # timm joins nested module names with `_` in feature networks, with `.` in weight files.
    flat = {name.replace(".", "_"): tensor for name, tensor in tensors.items()}
    wanted = network.state_dict()
    state = {name: flat.get(name.replace(".", "_")) for name in wanted}
    wrong = [
        name
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked") and (tensor is None or tensor.shape != wanted[name].shape)
    ]
    if wrong:
        raise WeightsError(
            expected=f"{len(wanted)} tensors of this architecture in {path}",
            came=f"{len(wrong)} missing or misshapen, the first {wrong[0]!r}",
            do="check that extractor.model names the architecture of this file",
        )
    network.load_state_dict({name: tensor for name, tensor in state.items() if tensor is not None}, strict=False)


def _fingerprint(network: torch.nn.Module, model: str, layers: tuple[int, ...], input_px: int, scaling: object) -> str:
    """SHA-256 over everything that determines features, including the bytes of the weights."""
    digest = hashlib.sha256(json.dumps([model, layers, input_px, scaling, "pool3", "float16"]).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
