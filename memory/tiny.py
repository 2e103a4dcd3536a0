"""driftline-tiny: a small student of MobileNetV2's features, so that a plant needs no internet.

Trained by tools/tiny/train.py (docs/driftline-tiny.md says on what). Only convolutions and ReLU, since these are what a
CPU does fastest: it takes half of its teacher's time.
"""

from __future__ import annotations

import torch
from safetensors.torch import load
from torch import Tensor, nn

from memory.errors import DriftlineError
from memory.weights_path import SHIPPED_FILE

NAME = "driftline-tiny"
STAGES = (24, 48, 64, 128)  # channels at strides 2, 4, 8 and 16
BLOCKS = 3
OUTPUTS = (32, 96)  # channels at strides 8 and 16, as in its teacher
STRIDES_PX = (8, 16)
INPUT_PX = 160  # of the pictures that it was trained with
MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # it takes RGB in [0, 1] as it is
LAYERS = (2, 3)  # the teacher's names for these


class Tiny(nn.Module):
    """A network from RGB images (N, 3, H, W) in [0, 1] to feature maps (N, 32, H/8, W/8) and (N, 96, H/16, W/16)."""

    def __init__(self) -> None:
        super().__init__()
        two, four, eight, sixteen = STAGES
        self.stem = nn.Sequential(_conv(3, two, 2), _conv(two, four, 2), _conv(four, eight, 2))
        self.fine = nn.Sequential(*(Residual(eight) for _ in range(BLOCKS)))
        self.down = _conv(eight, sixteen, 2)
        self.coarse = nn.Sequential(*(Residual(sixteen) for _ in range(BLOCKS)))
        self.fine_out = nn.Conv2d(eight, OUTPUTS[0], 1)
        self.coarse_out = nn.Conv2d(sixteen, OUTPUTS[1], 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The two maps, the finer first."""
        fine = self.fine(self.stem(images))
        return [self.fine_out(fine), self.coarse_out(self.coarse(self.down(fine)))]


class Residual(nn.Module):
    """A residual block of two 3×3 convolutions (He et al., "Deep residual learning", 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels, 1)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same shape."""
        return torch.relu(maps + self.second(self.first(maps)))


def trained(layers: tuple[int, ...] = LAYERS) -> Tiny:
    """The network with the weights that are shipped with Driftline. Raises DriftlineError for other layers than its."""
    if layers != LAYERS:
        raise DriftlineError(
            expected=f"layers {list(LAYERS)} of {NAME}", came=f"{list(layers)}", do="set extractor.layers to these"
        )
    network = Tiny()
    tensors = load(SHIPPED_FILE.read_bytes())
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return network


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU())
