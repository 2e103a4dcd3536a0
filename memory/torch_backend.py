"""Torch in float32, on a processor or a GPU: the reference backend."""

from __future__ import annotations

from importlib.metadata import version
from threading import Thread

import torch

from memory.backends import TORCH
from memory.features import Image, Patches
from memory.packed import Packed
from memory.patch_network import PatchNetwork
from memory.runtime import computes_alone
from memory.tiny import Tiny


class Torch:
    """A `PatchNetwork` by torch; a thread that is to compute alone does so where that is the same to the bit."""

    name = TORCH

    def __init__(self, network: PatchNetwork, device: torch.device) -> None:
        # As images come: the fastest on a CPU.
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._same_alone = False  # of EfficientNet and MobileNet it is not
        if device.type == "cpu" and isinstance(network.network, Tiny) and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types for it
            self._network, self._same_alone = network.computed_by(Packed(network.network)), True
        self._device = device
        self.description = f"{self.name} {version('torch')}, {device}"
        torch.backends.cudnn.allow_tf32 = False  # a GPU's features must be those of a PC without one

    @torch.inference_mode()
    def __call__(self, images: Image) -> Patches:
        if self._same_alone and computes_alone():
            _with_one_thread()
        patches: Patches = self._network(torch.from_numpy(images).to(self._device)).contiguous().cpu().numpy()
        return patches


def _with_one_thread() -> None:
    """Let torch compute with one thread in the calling one; other threads keep what they had."""
    count = torch.get_num_threads()
    if count == 1:
        return
    torch.set_num_threads(1)  # of this thread, and of those that compute for the first time later
    others = Thread(target=torch.set_num_threads, args=(count,))
    others.start()
    others.join()
