"""The training of SimpleNet's discriminator: good patches against the same with noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from memory.features import Patches
from memory.progress import steps
from memory.runtime import set_torch_threads
from memory.simplenet.network import SLOPE, Discriminator, Weights, named

HIDDEN = 128
STEPS, BATCH, RATE = 600, 1024, 2e-3
NOISE = 1.0  # of whitened features, whose deviation is 1: as far from a good patch as another good one usually is
REGULAR = 0.01  # of the mean variance, so that directions in which nothing varies do not decide alone


def trained(good: Patches, seed: int) -> Discriminator:
    """A discriminator trained on good patches (n, D); deterministic in its arguments on one machine
    with as many threads.

    As SimpleNet (Liu et al., "SimpleNet: A Simple Network for Image Anomaly Detection and Localization", CVPR 2023,
    sections 3.3 and 3.4): good features against the same with Gaussian noise. Otherwise than there, features are
    whitened instead of adapted by a layer, and the loss is the logistic one instead of the truncated one: truncated,
    all that is far away is equally far.
    """
    set_torch_threads()
    rng = np.random.default_rng(seed)
    mean, whitening = _whitening(good)
    white = torch.from_numpy((good - mean) @ whitening)
    widths = (white.shape[1], HIDDEN, HIDDEN, 1)
    layers: list[nn.Linear] = [
        nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]  # torch has no annotation of it
        for inputs, outputs in pairwise(widths)
    ]
    norms = [nn.BatchNorm1d(HIDDEN) for _ in layers[1:]]
    for layer in layers:  # torch's own start would depend on, and change, the random state of the whole process
        bound = 1 / np.sqrt(layer.in_features)
        for values in (layer.weight, layer.bias):
            values.data = torch.from_numpy(rng.uniform(-bound, bound, tuple(values.shape)).astype(np.float32))
    activated = [part for norm in norms for part in (norm, nn.LeakyReLU(SLOPE))]
    network = nn.Sequential(layers[0], *activated[:2], layers[1], *activated[2:], layers[2])
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for _ in steps(range(STEPS), "steps of the network"):
        drawn = white[torch.from_numpy(rng.integers(0, len(white), BATCH))]
        noise = torch.from_numpy(rng.normal(0, NOISE, tuple(drawn.shape)).astype(np.float32))
        says = network(torch.cat([drawn, drawn + noise]))[:, 0]  # (2 * BATCH, 1) -> (2 * BATCH,)
        loss = nn.functional.softplus(-says[:BATCH]).mean() + nn.functional.softplus(says[BATCH:]).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation of it
        optimizer.step()
        schedule.step()
    (weight, bias), *others = [_folded(layer, norm) for layer, norm in zip(layers, [*norms, None], strict=True)]
    shift: Weights = (bias - mean @ whitening @ weight).astype(np.float32)
    return Discriminator(((whitening @ weight, shift), *others), named(good))


def _whitening(good: Patches) -> tuple[Weights, Weights]:
    """The mean (D,) of patches (n, D), and the matrix (D, D) that makes them uncorrelated and of deviation 1."""
    mean = good.mean(axis=0, dtype=np.float32)
    away = (good - mean).astype(np.float64)
    variances, directions = np.linalg.eigh(away.T @ away / len(away))
    scaled = directions / np.sqrt(np.maximum(variances, 0) + REGULAR * max(float(variances.mean()), 1e-12))
    return mean, scaled.astype(np.float32)


def _folded(layer: nn.Linear, norm: nn.BatchNorm1d | None) -> tuple[Weights, Weights]:
    """A layer with the norm behind it, as it is after training, as one affine map (in, out) and (out,)."""
    weight, bias = layer.weight.detach().numpy().T, layer.bias.detach().numpy()
    if norm is None:
        return weight.copy(), bias.copy()
    assert norm.running_mean is not None  # noqa: S101  # it is counted by default
    assert norm.running_var is not None  # noqa: S101
    gain: Weights = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().numpy()
    shift: Weights = norm.bias.detach().numpy() - norm.running_mean.numpy() * gain
    return weight * gain, bias * gain + shift
