"""Backbones: a frozen network by its name in timm, or driftline-tiny, with its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from memory import tiny, weights_file
from memory.errors import DriftlineError, WeightsError
from memory.weights_file import REFUSALS
from memory.weights_path import HUB, SHIPPED, UNTRAINED

UNTRAINED_SEED = 0


@dataclass(frozen=True)
class Backbone:
    """A network from normalised images (N, 3, H, W) f32 to feature maps, the finest first.

    Maps are (N, D, rows, columns), or (N, rows, columns, D) where `channels_last`. `strides_px` says how many pixels of
    the image a cell of each map covers. `mean` and `std` normalise RGB in [0, 1]. `own_px` is the side of the images
    that it was trained with. A network of `fixed_size` takes only images of the size that it was made for.
    """

    network: Any
    strides_px: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    own_px: int
    channels_last: bool = False
    fixed_size: bool = False


def backbone(model: str, layers: tuple[int, ...], weights: str, input_px: int) -> Backbone:
    """The backbone of this name with its `layers` and `weights`, for images (input_px, input_px).

    Where timm has networks of a fixed size it makes them for this one, and resamples their position embeddings. Raises
    WeightsError when weights are missing or do not fit, DriftlineError for a model that timm does not know and for
    layers or an input size that the model does not have.
    """
    if (model == tiny.NAME) != (weights == SHIPPED):
        raise WeightsError(
            expected=f"weights `shipped` with {tiny.NAME}, and with no other model",
            came=f"{model} with weights {weights!r}",
            do="set extractor.model and extractor.weights to go together",
        )
    if model == tiny.NAME:
        network = tiny.trained(layers)
        return Backbone(network, tiny.STRIDES_PX, tiny.MEAN, tiny.STD, tiny.INPUT_PX)
    return _of_timm(model, layers, weights, input_px)


def _of_timm(model: str, layers: tuple[int, ...], weights: str, input_px: int) -> Backbone:
    import timm  # it takes seconds: driftline-tiny does not need it

    config = _config(model)
    create: Callable[..., Any] = partial(timm.create_model, model, features_only=True, out_indices=layers)
    if config.fixed_input_size:
        create = partial(create, img_size=input_px)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        try:
            network = create(pretrained=False)
        except REFUSALS as error:
            own = f", and extractor.input_px to {config.input_size[-1]}" if config.fixed_input_size else ""
            raise DriftlineError(
                expected=f"feature layers and an input size that {model} has",
                came=f"layers {list(layers)}, input_px {input_px}; {type(error).__name__}: {str(error)[:300]}",
                do=f"set extractor.layers to its own{own}",
            ) from error
        if weights == HUB:
            network = _of_hub(create, model)
        elif weights != UNTRAINED:
            weights_file.load(network, create, model, weights)
    return Backbone(
        network,
        tuple(sorted(network.feature_info.reduction())),
        config.mean,
        config.std,
        config.input_size[-1],
        channels_last=_channels_last(network, model),
        fixed_size=config.fixed_input_size,
    )


def _config(model: str) -> Any:
    """What timm says of a model: its own input size, and the mean and standard deviation that normalise images."""
    import timm

    try:
        config = timm.get_pretrained_cfg(model)  # raises for a tag that it does not know: `vit_small.any`
    except RuntimeError:
        config = None
    if config is None:
        raise DriftlineError(
            expected="a timm model with features_only support",
            came=f"extractor.model={model!r}",
            do="see timm.list_models() and timm.list_pretrained()",
        )
    return config


def _of_hub(create: Callable[..., Any], model: str) -> Any:
    try:
        return create(pretrained=True)
    except REFUSALS as error:
        raise WeightsError(
            expected=f"{model} with weights of timm's hub",
            came=f"{type(error).__name__}: {str(error)[:300]}",
            do="on a PC without internet copy the weights to a file and set extractor.weights to its path",
        ) from error


def _channels_last(network: Any, model: str) -> bool:
    # Networks of timm that say nothing have an interface of their own and are convolutional: NCHW.
    order = str(getattr(network, "output_fmt", "NCHW")).removeprefix("Format.")
    if order not in {"NCHW", "NHWC"}:
        raise DriftlineError(
            expected="feature maps with rows and columns (NCHW or NHWC)",
            came=f"{order} from {model}",
            do="choose another extractor.model",
        )
    return order == "NHWC"
