"""driftline-tiny with its weights packed for the processor once, and each ReLU in the convolution before it.

The same convolutions in the same order, by oneDNN, which torch computes them with in any case: it would pack every
weight at every image, and read every map again for its ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memory.tiny import Residual, Tiny

_ops = torch.ops.mkldnn  # what torch's own compiler (inductor) replaces convolutions on a CPU with
MOST_SHAPES = 4  # that each convolution keeps its weights for: the newest


class Packed(nn.Module):
    """driftline-tiny for a CPU; the features are those of the `network` that it is made of."""

    def __init__(self, network: Tiny) -> None:
        super().__init__()
        self._stem = [_Convolution(_only(each)) for each in network.stem]
        self._fine = [_Residual(each) for each in network.fine]
        self._down = _Convolution(_only(network.down))
        self._coarse = [_Residual(each) for each in network.coarse]
        self._fine_out, self._coarse_out = _Convolution(network.fine_out), _Convolution(network.coarse_out)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The two maps, as `Tiny.forward`."""
        fine = images
        for convolution in self._stem:
            fine = convolution.relu(fine)
        for residual in self._fine:
            fine = residual(fine)
        coarse = self._down.relu(fine)
        for residual in self._coarse:
            coarse = residual(coarse)
        return [self._fine_out.plain(fine), self._coarse_out.plain(coarse)]


class _Convolution:
    """A convolution whose weight is packed anew for every shape of its maps, once."""

    def __init__(self, made: nn.Conv2d) -> None:
        self._where = list(made.padding), list(made.stride), list(made.dilation), made.groups
        self._weight, self._bias = made.weight.detach(), made.bias.detach() if made.bias is not None else None
        self._packed: dict[tuple[int, ...], Tensor] = {}

    def plain(self, maps: Tensor) -> Tensor:
        """The convolution alone."""
        return self._by(maps, "none")

    def relu(self, maps: Tensor) -> Tensor:
        """The ReLU of the convolution."""
        return self._by(maps, "relu")

    def relu_of_sum(self, maps: Tensor, other: Tensor) -> Tensor:
        """The ReLU of the sum of the convolution and other maps."""
        packed = self._weight_for(maps)
        summed: Tensor = _ops._convolution_pointwise.binary(
            maps, other, packed, self._bias, *self._where, "add", 1.0, "relu", [], ""
        )
        return summed

    def _by(self, maps: Tensor, after: str) -> Tensor:
        packed = self._weight_for(maps)
        convolved: Tensor = _ops._convolution_pointwise(maps, packed, self._bias, *self._where, after, [], "")
        return convolved

    def _weight_for(self, maps: Tensor) -> Tensor:
        shape = tuple(maps.shape)
        packed = self._packed.get(shape)
        if packed is None:
            packed = _ops._reorder_convolution_weight(self._weight, *self._where, shape)
            self._packed = {**dict(list(self._packed.items())[1 - MOST_SHAPES :]), shape: packed}
        return packed


class _Residual:
    def __init__(self, block: nn.Module) -> None:
        assert isinstance(block, Residual)  # noqa: S101  # driftline-tiny is made of these
        self._first, self._second = _Convolution(_only(block.first)), _Convolution(_only(block.second))

    def __call__(self, maps: Tensor) -> Tensor:
        return self._second.relu_of_sum(self._first.relu(maps), maps)


def _only(layers: nn.Module) -> nn.Conv2d:
    """The convolution of a layer, whose ReLU follows it."""
    (found,) = (each for each in layers.children() if isinstance(each, nn.Conv2d))
    return found
