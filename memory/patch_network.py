"""The patch network: what every backend computes, from images to locally aware patch features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PatchNetwork(nn.Module):
    """A network from images (N, H, W, 3) u8 to patches (N, P, D) f32, in row-major order of each image's grid.

    The backbone's maps are averaged over 3×3 neighbourhoods, brought to the first map's grid and concatenated: the
    locally aware patch features of PatchCore (Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR
    2022, section 3.1, equation 2). All of it is one graph, which a backend can compile as a whole.
    """

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], *, channels_last: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self._channels_last = channels_last  # of the network's maps: (N, rows, columns, D)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self._as_it_is = not any(mean) and set(std) == {1.0}

    def forward(self, images: Tensor) -> Tensor:
        """Patches (N, P, D) of images (N, H, W, 3) u8."""
        maps = [nn.functional.avg_pool2d(m, kernel_size=3, stride=1, padding=1) for m in self._maps(images)]
        grid = maps[0].shape[-2:]
        aligned = [maps[0]] + [
            nn.functional.interpolate(m, size=grid, mode="bilinear", align_corners=False) for m in maps[1:]
        ]
        return torch.cat(aligned, dim=1).flatten(2).transpose(1, 2)  # (N, D, rows, columns) -> (N, P, D)

    @torch.inference_mode()
    def grid(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of the patches of an image (height_px, width_px, 3); it computes one."""
        blank = torch.zeros((1, height_px, width_px, 3), dtype=torch.uint8, device=self.mean.device)
        rows, columns = self._maps(blank)[0].shape[-2:]
        return int(rows), int(columns)

    def computed_by(self, network: nn.Module) -> PatchNetwork:
        """The same patches, where another network computes the maps of this one."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return PatchNetwork(network, mean, std, channels_last=self._channels_last)

    def _maps(self, images: Tensor) -> list[Tensor]:
        batch = images.permute(0, 3, 1, 2).float() / 255  # (N, H, W, 3) -> (N, 3, H, W)
        maps: list[Tensor] = self.network(batch if self._as_it_is else (batch - self.mean) / self.std)
        return [m.permute(0, 3, 1, 2) for m in maps] if self._channels_last else maps
