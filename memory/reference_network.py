"""The network in torch with its weights: the reference, which every other backend must agree with."""

from __future__ import annotations

import hashlib
import json

import torch

from memory.backbone import backbone
from memory.errors import DriftlineError
from memory.outline import Grid, Outline
from memory.patch_network import PatchNetwork
from memory.runtime import out_of_memory, set_torch_threads
from memory.torch_backend import Torch
from memory.weights_file import REFUSALS


class ReferenceNetwork:
    """The loaded network of an extractor, with what `memory.extract.Extractor` says of its settings.

    Raises WeightsError when weights are missing or do not fit, DriftlineError for a model that timm does not know, or
    for layers, an `input_px` or a device that there is not.
    """

    def __init__(
        self, *, model: str, layers: tuple[int, ...], weights: str, input_px: int, normalize: bool, device: str
    ) -> None:
        set_torch_threads()
        self.device = _device(device)
        made = backbone(model, layers, weights, input_px)
        network = made.network.eval().requires_grad_(requires_grad=False)
        scaling = (made.mean, made.std) if normalize else ((0.0,) * 3, (1.0,) * 3)
        self.patches = PatchNetwork(network, *scaling, channels_last=made.channels_last).eval()
        self.backend = Torch(self.patches, self.device)
        stride_px, multiple_px = min(made.strides_px), max(made.strides_px)
        self.outline = Outline(
            _fingerprint(network, model, layers, input_px, scaling),
            stride_px,
            multiple_px,
            made.fixed_size,
            {(input_px, input_px): self._own_grid(model, input_px, multiple_px, made.own_px, fixed=made.fixed_size)},
        )

    def grid(self, height_px: int, width_px: int) -> Grid | None:
        """Rows and columns of the patches of images of this shape, by computing one; None where the network takes no
        such image or does not divide it exactly into patches. Raises RuntimeError where memory runs out."""
        try:
            grid = self.patches.grid(height_px, width_px)
        except REFUSALS as error:
            if out_of_memory(error):  # no word on the network: it may go well next time
                raise
            return None
        stride_px = self.outline.stride_px
        # A convolution without a margin: its patches do not lie where a share of the image would.
        return grid if grid == (height_px // stride_px, width_px // stride_px) else None

    def _own_grid(self, model: str, input_px: int, multiple_px: int, own_px: int, *, fixed: bool) -> Grid:
        try:
            if fixed and input_px % multiple_px:
                raise ValueError("the last rows and columns would not be seen")  # timm's patches leave them out
            return self.patches.grid(input_px, input_px)
        except REFUSALS as error:
            near_px = max(1, round(input_px / multiple_px)) * multiple_px
            raise DriftlineError(
                expected=f"an input size that {model} takes, a multiple of {multiple_px} px",
                came=f"extractor.input_px={input_px}: {str(error)[:200]}",
                do=f"set extractor.input_px to {near_px if near_px != input_px else own_px}",
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
