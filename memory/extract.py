"""The extractor: patch features of images."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np
import torch

from memory.backbone import backbone
from memory.backends import Backend, Torch
from memory.errors import DriftlineError
from memory.exported.detector import as_features
from memory.exported.model import ExportedModel
from memory.features import Features, Image, Patches
from memory.geometry import InputShapes
from memory.patch_network import PatchNetwork
from memory.tiles import Tiling
from memory.weights_file import REFUSALS

BATCH = 4  # tiles at once: more are hardly quicker on a CPU, and need more memory


class Extractor:
    """Extracts mid-level patch features with a frozen backbone; deterministic on one machine.

    `model` is any timm model, or driftline-tiny, whose weights are `shipped` with Driftline (memory/tiny.py). One of a
    fixed input size is made for images (input_px, input_px).

    The maps of `layers` become the locally aware patch features of PatchCore (`memory.patch_network.PatchNetwork`): a
    patch covers `stride_px`, that of the finest map. `multiple_px` is the stride of the coarsest: an image whose sides
    are multiples of it is divided into patches exactly.

    `weights` is `hub` (timm's hub or its local cache), `shipped`, `installed` (those of driftline[lite]), a path to a
    .safetensors or .pth file, or `untrained` (seeded random weights: for demonstrations, by explicit name only).
    `normalize` applies the backbone's own mean and standard deviation; switch it off for weights that have them folded
    in. `device` is `auto`, `cpu`, `cuda`, ...

    `scorer` is an exported model whose value of each patch follows its features as two more of them, for the detector
    of that kind.

    Torch computes it in full float32, the reference that every other `backend` must agree with: see `on`.

    Raises WeightsError when weights are missing or do not fit, DriftlineError for a model that timm does not know, or
    for layers or an `input_px` that the model does not have.
    """

    def __init__(
        self,
        *,
        model: str,
        layers: Sequence[int],
        weights: str,
        input_px: int,
        normalize: bool,
        device: str,
        scorer: ExportedModel | None = None,
    ) -> None:
        self.input_px = input_px
        self.untrained = weights == "untrained"
        self.device = _device(device)
        made = backbone(model, tuple(layers), weights, input_px)
        network = made.network.eval().requires_grad_(requires_grad=False)
        scaling = (made.mean, made.std) if normalize else ((0.0,) * 3, (1.0,) * 3)
        self.fingerprint = _fingerprint(network, model, tuple(layers), input_px, scaling)
        self.scorer = scorer
        if scorer is not None:
            self.fingerprint = hashlib.sha256(f"{self.fingerprint} {scorer.sha256}".encode()).hexdigest()
        self.network = PatchNetwork(network, *scaling, channels_last=made.channels_last).eval()
        self.stride_px, self.multiple_px = min(made.strides_px), max(made.strides_px)
        self.backend: Backend = Torch(self.network, self.device)
        self._fixed_size = made.fixed_size
        self._grids = {(input_px, input_px): self._own_grid(model, made.own_px)}

    def on(self, backend: Backend) -> Extractor:
        """The same extractor on another backend: nearly the same features, computed faster."""
        other = copy.copy(self)
        other.backend = backend
        return other

    @cached_property
    def shapes(self) -> InputShapes:
        """The shapes that the network takes."""
        fixed = not self.takes(self.input_px + self.multiple_px, self.input_px)
        own_grid = self._grids[self.input_px, self.input_px]
        return InputShapes(self.stride_px, self.multiple_px, self.input_px, own_grid, fixed)

    def takes(self, height_px: int, width_px: int) -> bool:
        """Whether the network takes images of this shape: (input_px, input_px), and unless its size is fixed, any that
        it divides into patches exactly. The first time it computes one."""
        shape = (height_px, width_px)
        if shape in self._grids:
            return True
        if self._fixed_size or height_px % self.multiple_px or width_px % self.multiple_px:
            return False
        try:
            grid = self.network.grid(*shape)
        except REFUSALS:
            return False
        if grid != (height_px // self.stride_px, width_px // self.stride_px):
            return False  # a convolution without a margin: its patches do not lie where a share of the image would
        self._grids[shape] = grid
        return True

    def grid_of(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of the patches of an image of this shape. Raises DriftlineError for one it does not take."""
        if not self.takes(height_px, width_px):
            own = f"({self.input_px}, {self.input_px}, 3)"
            others = "" if self._fixed_size else f", or one whose sides are multiples of {self.multiple_px}"
            raise DriftlineError(
                expected=f"an image of {own}{others}",
                came=f"({height_px}, {width_px}, 3)",
                do="bring it to such a shape, or choose another extractor.model",
            )
        return self._grids[height_px, width_px]

    def __call__(self, image: Image) -> Features:
        """Features of one image (height_px, width_px, 3 or 6) u8, row by row of its grid; raises as `tiles` does."""
        return Features(patches=self.tiles(image[None])[0], grid=self.grid_of(*image.shape[:2]))

    def features(self, image: Image, tiling: Tiling, depth_weight: float = 1.0) -> Features:
        """Features of a canvas (height_px, width_px, 3 or 6) u8 by its tiles; raises as `tiles` does."""
        extract = partial(self.tiles, depth_weight=depth_weight)
        return Features(tiling.patches(image, extract, BATCH), tiling.grid, tiling.cells)

    def tiles(self, images: Image, depth_weight: float = 1.0) -> Patches:
        """Patches (N, P, D) f32 of RGB images (N, height_px, width_px, 3) u8, row by row of each image's grid. Where a
        depth picture follows the colours (…, 6), the network looks at both, and a patch joins their features, those of
        depth times a weight.

        The values are those of float16. Raises DriftlineError for a shape that the network does not take, or when the
        backbone returns values beyond float16.
        """
        if images.ndim != 4 or images.shape[3] not in {3, 6} or images.dtype != np.uint8:
            raise DriftlineError(
                expected="an image of (height_px, width_px, 3), or 6 with its depth, in 8 bits",
                came=f"{images.shape[1:]} of {images.dtype}",
                do="decode it with daemon.intake.decode",
            )
        grid = self.grid_of(*images.shape[1:3])
        seen, depth = images[..., :3], images[..., 3:]
        computed = self.backend(np.ascontiguousarray(seen))
        if depth.size:
            of_depth = self.backend(np.ascontiguousarray(depth)) * np.float32(depth_weight)
            computed = np.concatenate([computed, of_depth], axis=2)  # twice (N, P, D) -> (N, P, 2 D)
        if self.scorer is not None:
            values = as_features(self.scorer(seen, grid))
            computed = np.concatenate([computed, values], axis=2)  # (N, P, D), (N, P, 2) -> (N, P, D + 2)
        patches: Patches = torch.from_numpy(computed).half().float().numpy()
        if not np.isfinite(patches).all():
            raise DriftlineError(
                expected="finite features within ±65504 (float16)",
                came="an overflow or NaN from the backbone",
                do="choose other extractor.layers, another extractor.model or another extractor.scorer",
            )
        return patches

    def _own_grid(self, model: str, own_px: int) -> tuple[int, int]:
        try:
            if self._fixed_size and self.input_px % self.multiple_px:
                raise ValueError("the last rows and columns would not be seen")  # timm's patches leave them out
            return self.network.grid(self.input_px, self.input_px)
        except REFUSALS as error:
            near_px = max(1, round(self.input_px / self.multiple_px)) * self.multiple_px
            raise DriftlineError(
                expected=f"an input size that {model} takes, a multiple of {self.multiple_px} px",
                came=f"extractor.input_px={self.input_px}: {str(error)[:200]}",
                do=f"set extractor.input_px to {near_px if near_px != self.input_px else own_px}",
            ) from error


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DriftlineError(
            expected="a CUDA device", came="none on this machine", do="set extractor.device to auto or cpu"
        )
    return device


def _fingerprint(network: torch.nn.Module, model: str, layers: tuple[int, ...], input_px: int, scaling: object) -> str:
    """SHA-256 over everything that determines features, including the bytes of the weights."""
    digest = hashlib.sha256(json.dumps([model, layers, input_px, scaling, "pool3", "float16"]).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
