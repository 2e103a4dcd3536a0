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
from memory.geometry import InputShapes
from memory.tiles import Tiling

UNTRAINED_SEED = 0
BATCH = 4  # tiles at once: more are not quicker on a CPU, and need more memory


class Extractor:
    """Extracts mid-level patch features with a frozen backbone, one image at a time; deterministic on one machine.

    `model` is any timm model, or driftline-tiny, whose weights are `shipped` with Driftline (memory/tiny.py).

    The maps of `layers` become the locally aware patch features of PatchCore (`memory.backends.PatchNetwork`).

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
        rows = [grid[0] for grid in self.network.grids(input_px)]
        self.shapes = InputShapes(input_px // rows[0], input_px // min(rows), input_px, fixed=False)
        self.backend: Backend = Torch(self.network, self.device)

    def on(self, backend: Backend) -> Extractor:
        """The same extractor on another backend: nearly the same features, computed faster."""
        other = copy.copy(self)
        other.backend = backend
        return other

    def __call__(self, image: Image) -> Features:
        """Features of an RGB image (H, W, 3) u8 in one piece.

        Raises DriftlineError for a shape that the backbone does not take, or when it returns values beyond float16.
        """
        height, width = image.shape[:2]
        self._check(height, width)
        grid = (height // self.shapes.stride_px, width // self.shapes.stride_px)
        return Features(patches=self._patches(image[None])[0], grid=grid)

    def features(self, image: Image, tiling: Tiling) -> Features:
        """Features of a canvas (H, W, 3) u8 by its tiles. Raises as for an image in one piece."""
        self._check(*tiling.tile_px)
        return Features(tiling.patches(image, self._patches, BATCH), tiling.grid, tiling.cells)

    def _check(self, height_px: int, width_px: int) -> None:
        shapes = self.shapes
        square = (shapes.input_px, shapes.input_px)
        if (height_px, width_px) != square and (
            shapes.fixed or height_px % shapes.multiple_px or width_px % shapes.multiple_px
        ):
            takes = f"({square[0]}, {square[1]})" if shapes.fixed else f"multiples of {shapes.multiple_px} px"
            raise DriftlineError(
                expected=f"an image of {takes}",
                came=f"({height_px}, {width_px})",
                do="bring it onto a version's canvas",
            )

    def _patches(self, images: Image) -> Patches:
        """The patches (N, P, D) f32 of images (N, H, W, 3) u8."""
        patches = torch.from_numpy(self.backend(images)).half().float()
        if not bool(torch.isfinite(patches).all()):
            raise DriftlineError(
                expected="finite features within ±65504 (float16)",
                came="an overflow or NaN from the backbone",
                do="choose other extractor.layers or another extractor.model",
            )
        every: Patches = patches.numpy()
        return every


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
