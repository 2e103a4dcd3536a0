"""How far apart good patches lie: a distance means more where they lie close together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memory.bank import Bank
from memory.coreset import squared_distances

NEIGHBOURS = 5
FLOOR = 0.1


def spaced(bank: Bank) -> Bank:
    """The bank with every patch's `scale`: its mean distance to the `NEIGHBOURS` nearest patches of *other*
    samples, at least `FLOOR` medians. A bank of one sample keeps plain distances: nobody else was seen.

    Dividing a nearest-neighbour distance by the neighbour's own spacing is the local outlier factor (Breunig et
    al., "LOF: Identifying Density-Based Local Outliers", 2000) for a single neighbour; Wilkinghoff et al.
    ("Keeping the Balance: Anomaly Score Calculation for Domain Generalization", 2025) found it to balance scores
    over shifted domains. Of other samples only, because one odd part's own patches lie close to each other: what
    a single part shows is not common.
    """
    if len(bank.samples) < 2:
        return bank
    scale = np.empty(len(bank), dtype=np.float32)
    for i in range(len(bank.samples)):
        own = bank.origin == i
        squared = squared_distances(bank.vectors[own], bank.vectors[~own])  # (n, N - n)
        near = np.partition(squared, min(NEIGHBOURS, squared.shape[1]) - 1, axis=1)[:, :NEIGHBOURS]
        scale[own] = np.sqrt(np.maximum(near, 0)).mean(axis=1)
    typical = float(np.median(scale))
    return replace(bank, scale=np.maximum(scale, FLOOR * typical if typical > 0 else 1.0).astype(np.float32))
