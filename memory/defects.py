"""Confirmed defects: every later version must still detect them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memory.distances import nearest_squared
from memory.features import Features, Map, Patches, PatchMask, View

WORST_PATCHES = 10


@dataclass(frozen=True, eq=False)
class Defect:
    """One confirmed defect: the whole image's features and where the defect is.

    `sample` is the frame id; `mask` (rows, columns) bool marks the defect's patches, at least one.
    """

    sample: str
    features: Features
    mask: PatchMask

    @property
    def view(self) -> View:
        """The whole image as a view."""
        return View(self.features)

    @property
    def patches(self) -> Patches:
        """The features (n, D) of the marked patches."""
        marked: Patches = self.features.patches[self.features.of_map(self.mask)]
        return marked


@dataclass(frozen=True)
class ConfirmedDefects:
    """An immutable, bounded set of confirmed defects, oldest first."""

    defects: tuple[Defect, ...] = ()

    def __len__(self) -> int:
        return len(self.defects)

    @property
    def samples(self) -> tuple[str, ...]:
        """Frame ids of all defects."""
        return tuple(defect.sample for defect in self.defects)

    @property
    def patches(self) -> Patches | None:
        """All marked patches (n, D), or None without a defect."""
        return np.concatenate([d.patches for d in self.defects]) if self.defects else None

    def remember(self, defect: Defect, limit: int) -> ConfirmedDefects:
        """This set with `defect` added, or unchanged if its sample is already in it.

        Beyond `limit` the most redundant defect is removed: the older of the two whose mean marked patches lie nearest
        to each other. So the limit removes near-duplicates, never the only defect of its kind.
        """
        if defect.sample in self.samples:
            return self
        defects = (*self.defects, defect)
        while len(defects) > limit:
            means = np.stack([d.patches.mean(axis=0) for d in defects])  # (n, D)
            distances = np.array(
                [nearest_squared(means[i : i + 1], np.delete(means, i, axis=0))[0] for i in range(len(means))]
            )
            redundant = int(distances.argmin())  # the lowest index of the closest pair, which is the older one
            defects = defects[:redundant] + defects[redundant + 1 :]
        return replace(self, defects=defects)


def worst_patches(anomaly: Map, marked: PatchMask | None = None) -> PatchMask:
    """The `WORST_PATCHES` most anomalous patches of a map (rows, columns), as a mask of that shape.

    Where the operator `marked` a region (rows, columns), only its patches are taken, and not all of them: a box around
    a scratch holds normal material too, which must not count as a defect.
    """
    inside = np.ones(anomaly.shape, dtype=bool) if marked is None else marked
    flat = np.where(inside, anomaly, -np.inf).reshape(-1)  # (rows, columns) -> (P,)
    mask = np.zeros(flat.shape, dtype=bool)
    mask[np.argsort(-flat, kind="stable")[: min(WORST_PATCHES, int(inside.sum()))]] = True
    return mask.reshape(anomaly.shape)


def box_mask(box: tuple[float, float, float, float], grid: tuple[int, int]) -> PatchMask:
    """The patches of `grid` (rows, columns) that a box (left, top, right, bottom) in [0, 1] touches."""
    rows, columns = grid
    left, top, right, bottom = box
    mask = np.zeros(grid, dtype=bool)
    mask[
        int(top * rows) : max(int(np.ceil(bottom * rows)), int(top * rows) + 1),
        int(left * columns) : max(int(np.ceil(right * columns)), int(left * columns) + 1),
    ] = True
    return mask


def on_grid(mask: PatchMask, grid: tuple[int, int]) -> PatchMask:
    """A mask on another grid (rows, columns): every cell that one of its cells touches."""
    touched: PatchMask = np.zeros(grid, dtype=np.bool_)
    for row, column in np.argwhere(mask).tolist():
        down, across = (_touched(at, old, new) for at, old, new in zip((row, column), mask.shape, grid, strict=True))
        touched[down, across] = True
    return touched


def _touched(at: int, cells: int, others: int) -> slice:
    """Which of `others` along an axis the cell `at` of so many `cells` touches."""
    return slice(at * others // cells, -(-(at + 1) * others // cells))
