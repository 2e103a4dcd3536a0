"""Weights of a timm network from a file: one that somebody copied, or one that came by pip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memory.errors import WeightsError
from memory.weights_path import INSTALLED, weights_path

# What timm's networks raise for a layer, a size or weights that they do not have.
REFUSALS = (OSError, RuntimeError, ValueError, IndexError, AssertionError, TypeError)


def load(network: Any, create: Callable[..., Any], model: str, weights: str) -> None:
    """Load `weights`, a path or `installed`, strictly: every tensor of the feature network must be in the file.

    A file whose tensors have other names or sizes, as position embeddings for images of another size, is brought to the
    network by timm, as weights of its hub are. Raises WeightsError for a file that is missing or does not fit.
    """
    path = weights_path(model, weights)
    assert path is not None  # noqa: S101  # of `hub` and `untrained` no file is loaded
    tensors, wanted = _read(path), network.state_dict()
    if weights == INSTALLED:
        tensors = _in_order(model, tensors)
    state, wrong = _matched(wanted, tensors)
    if wrong:
        try:
            state, wrong = _matched(wanted, _adapted(create, tensors))
        except (*REFUSALS, KeyError, AttributeError) as error:
            raise _unfit(path, len(wanted), wrong, f"; {str(error)[:300]}") from error
    if wrong:
        raise _unfit(path, len(wanted), wrong)
    network.load_state_dict(state, strict=False)


def _in_order(model: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by timm's names, of a file that has them in timm's order by names of its own."""
    import timm
    from timm.models import remap_state_dict

    with torch.random.fork_rng(devices=[]):
        whole = timm.create_model(model, pretrained=False)
    by_name: dict[str, Tensor] = remap_state_dict(tensors, whole, allow_reshape=False)
    return by_name


def _unfit(path: Path, wanted: int, wrong: list[str], reason: str = "") -> WeightsError:
    return WeightsError(
        expected=f"{wanted} tensors of this architecture in {path}",
        came=f"{len(wrong)} missing or misshapen, the first {wrong[0]!r}{reason}",
        do="check that extractor.model names the architecture of this file",
    )


def _read(path: Path) -> dict[str, Tensor]:
    from timm.models import load_state_dict

    try:
        tensors: dict[str, Tensor] = load_state_dict(str(path), use_ema=False, weights_only=True)
    except Exception as error:  # safetensors, zip and pickle readers each raise their own types
        raise WeightsError(
            expected="a .safetensors or .pth file of weights",
            came=f"{path}: {type(error).__name__}: {error}",
            do="check extractor.weights in config.yaml",
        ) from error
    return tensors


def _matched(wanted: dict[str, Tensor], tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by the network's names, and the names of those that are missing or misshapen."""
    # timm joins nested module names with `_` in feature networks, with `.` in weight files.
    flat = {name.replace(".", "_"): tensor for name, tensor in tensors.items()}
    found = {name: flat.get(name.replace(".", "_")) for name in wanted}
    wrong = [
        name
        for name, tensor in found.items()
        if not name.endswith("num_batches_tracked") and (tensor is None or tensor.shape != wanted[name].shape)
    ]
    return {name: tensor for name, tensor in found.items() if tensor is not None}, wrong


def _adapted(create: Callable[..., Any], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's tensors as timm makes them of the file's, without those that the file lacks."""

    def loaded(state: dict[str, Tensor]) -> dict[str, Tensor]:
        network = create(pretrained=True, pretrained_cfg_overlay={"state_dict": state})
        tensors: dict[str, Tensor] = network.state_dict()
        return tensors

    # timm does not say what a file lacked. Made of a file of NaN, the tensors that are still numbers came from nowhere.
    nowhere = loaded({name: t * torch.nan if t.is_floating_point() else t for name, t in tensors.items()})
    return {
        name: tensor
        for name, tensor in loaded(tensors).items()
        if not tensor.is_floating_point() or bool(nowhere[name].isnan().all())
    }
