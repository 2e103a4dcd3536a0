"""The extractor: patch features of images."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from memory import half
from memory.backends import Backend
from memory.errors import DriftlineError
from memory.exported.detector import as_features
from memory.exported.model import ExportedModel
from memory.features import Features, Image, Patches
from memory.geometry import InputShapes
from memory.outline import KeptOutline, Outline
from memory.tiles import Tiling
from memory.weights_path import UNTRAINED

if TYPE_CHECKING:
    from memory.patch_network import PatchNetwork
    from memory.reference_network import ReferenceNetwork

BATCH = 4  # tiles at once: more are hardly quicker on a CPU, and need more memory


class Extractor:
    """Extracts mid-level patch features with a frozen backbone; deterministic on one machine.

    `model` is any timm model, or driftline-tiny, whose weights are `shipped` with Driftline (memory/tiny.py). One of a
    fixed input size is made for images (input_px, input_px).

    The maps of `layers` become the locally aware patch features of PatchCore (`memory.patch_network.PatchNetwork`): a
    patch covers `stride_px`, that of the finest map. `multiple_px` is the stride of the coarsest: an image whose sides
    are multiples of it is divided into patches exactly.

    `weights` is `hub` (timm's hub or its local cache), `shipped`, `installed` (those of driftline[lite]), a path to a
    .safetensors or .pth file, or `untrained` (seeded random weights: for demonstrations, by explicit name only).
    `normalize` applies the backbone's own mean and standard deviation; switch it off for weights that have them folded
    in. `device` is `auto`, `cpu`, `cuda`, ...

    `scorer` is an exported model whose value of each patch follows its features as two more of them, for the detector
    of that kind.

    Torch computes it in full float32, the reference that every other `backend` must agree with: see `on`. Where an
    earlier extractor of the same settings has `kept` its outline, the weights are loaded when they are first needed,
    and torch, of half a gigabyte, with them.

    Raises WeightsError when weights are missing or do not fit, DriftlineError for a model that timm does not know, or
    for layers or an `input_px` that the model does not have: where the weights are loaded, which also raises it where
    they are not those of the outline.
    """

    def __init__(
        self,
        *,
        model: str,
        layers: Sequence[int],
        weights: str,
        input_px: int,
        normalize: bool,
        device: str,
        scorer: ExportedModel | None = None,
        kept: KeptOutline | None = None,
    ) -> None:
        self.input_px = input_px
        self.untrained = weights == UNTRAINED
        self.scorer = scorer
        self._quick: Backend | None = None

        def load() -> ReferenceNetwork:
            from memory.reference_network import ReferenceNetwork

            return ReferenceNetwork(
                model=model,
                layers=tuple(layers),
                weights=weights,
                input_px=input_px,
                normalize=normalize,
                device=device,
            )

        outline, self._kept = kept.read() if kept else None, kept
        self._reference = _Loading(load, outline)
        known = outline or self._reference.network().outline
        self.fingerprint = known.fingerprint
        if scorer is not None:
            self.fingerprint = hashlib.sha256(f"{self.fingerprint} {scorer.sha256}".encode()).hexdigest()
        self.stride_px, self.multiple_px = known.stride_px, known.multiple_px
        self._known, self._grids = known, dict(known.grids)

    @property
    def loaded(self) -> bool:
        """Whether its weights are loaded."""
        return self._reference.done

    @property
    def network(self) -> PatchNetwork:
        """The network in torch."""
        return self._reference.network().patches

    @property
    def backend(self) -> Backend:
        """What computes the features."""
        return self._quick or self._reference.network().backend

    @property
    def device(self) -> str:
        """Where its features are computed, by torch's names."""
        return "cpu" if self._quick else str(self._reference.network().device)

    def keep_outline(self) -> None:
        """Keep what is known of the network by now, if it was loaded for that. Raises StoreError where the disk
        refuses."""
        if self._kept is not None and self.loaded:
            self._kept.write(replace(self._known, grids=dict(self._grids)))

    def on(self, backend: Backend) -> Extractor:
        """The same extractor on another backend: nearly the same features, computed faster."""
        other = copy.copy(self)
        other._quick = backend
        return other

    @cached_property
    def shapes(self) -> InputShapes:
        """The shapes that the network takes."""
        fixed = not self.takes(self.input_px + self.multiple_px, self.input_px)
        own_grid = self.grid_of(self.input_px, self.input_px)
        return InputShapes(self.stride_px, self.multiple_px, self.input_px, own_grid, fixed)

    def takes(self, height_px: int, width_px: int) -> bool:
        """Whether the network takes images of this shape: (input_px, input_px), and unless its size is fixed, any that
        it divides into patches exactly. The first time it computes one."""
        shape = (height_px, width_px)
        if shape not in self._grids:
            if self._known.fixed_size or height_px % self.multiple_px or width_px % self.multiple_px:
                return False
            self._grids[shape] = self._reference.network().grid(*shape)
        return self._grids[shape] is not None

    def grid_of(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of the patches of an image of this shape. Raises DriftlineError for one it does not take."""
        grid = self._grids[height_px, width_px] if self.takes(height_px, width_px) else None
        if grid is None:
            own = f"({self.input_px}, {self.input_px}, 3)"
            others = "" if self._known.fixed_size else f", or one whose sides are multiples of {self.multiple_px}"
            raise DriftlineError(
                expected=f"an image of {own}{others}",
                came=f"({height_px}, {width_px}, 3)",
                do="bring it to such a shape, or choose another extractor.model",
            )
        return grid

    def __call__(self, image: Image) -> Features:
        """Features of one image (height_px, width_px, 3 or 6) u8, row by row of its grid; raises as `tiles` does."""
        return Features(self.tiles(image[None])[0], grid=self.grid_of(*image.shape[:2]))

    def features(self, image: Image, tiling: Tiling, depth_weight: float = 1.0) -> Features:
        """Features of a canvas (height_px, width_px, 3 or 6) u8 by its tiles; raises as `tiles` does."""
        extract = partial(self.tiles, depth_weight=depth_weight)
        return Features(tiling.patches(image, extract, BATCH), tiling.grid, tiling.cells)

    def tiles(self, images: Image, depth_weight: float = 1.0) -> Patches:
        """Patches (N, P, D) f32 of RGB images (N, height_px, width_px, 3) u8, row by row of each image's grid. Where a
        depth picture follows the colours (…, 6), the network looks at both, and a patch joins their features, those of
        depth times a weight.

        The values are those of float16. Raises DriftlineError for a shape that the network does not take, or when the
        backbone returns values beyond float16.
        """
        if images.ndim != 4 or images.shape[3] not in {3, 6} or images.dtype != np.uint8:
            raise DriftlineError(
                expected="an image of (height_px, width_px, 3), or 6 with its depth, in 8 bits",
                came=f"{images.shape[1:]} of {images.dtype}",
                do="decode it with daemon.intake.decode",
            )
        grid = self.grid_of(*images.shape[1:3])
        seen, depth = images[..., :3], images[..., 3:]
        computed = self.backend(np.ascontiguousarray(seen))
        if depth.size:
            of_depth = self.backend(np.ascontiguousarray(depth)) * np.float32(depth_weight)
            computed = np.concatenate([computed, of_depth], axis=2)  # twice (N, P, D) -> (N, P, 2 D)
        if self.scorer is not None:
            values = as_features(self.scorer(seen, grid))
            computed = np.concatenate([computed, values], axis=2)  # (N, P, D), (N, P, 2) -> (N, P, D + 2)
        try:
            return half.rounded(computed)
        except OverflowError as error:
            raise DriftlineError(
                expected="finite features within ±65504 (float16)",
                came="an overflow or NaN from the backbone",
                do="choose other extractor.layers, another extractor.model or another extractor.scorer",
            ) from error


class _Loading:
    """The reference network of an extractor and of all copies of it: loaded once, in whichever thread needs it first.

    Raises DriftlineError where its features are not those of the outline.
    """

    def __init__(self, load: Callable[[], ReferenceNetwork], outline: Outline | None) -> None:
        self._load, self._outline = load, outline
        self._found: ReferenceNetwork | None = None
        self._refused: DriftlineError | None = None
        self._one_at_a_time = Lock()

    @property
    def done(self) -> bool:
        """Whether it is loaded."""
        return self._found is not None

    def network(self) -> ReferenceNetwork:
        """The network, loaded."""
        with self._one_at_a_time:
            if self._refused is not None:
                raise self._refused
            if self._found is None:
                found = self._load()
                if self._outline is not None and found.outline.fingerprint != self._outline.fingerprint:
                    self._refused = DriftlineError(
                        expected=f"the weights that were in use before, {self._outline.fingerprint[:12]}",
                        came=f"others by the same name, {found.outline.fingerprint[:12]}",
                        do="bring them back, or teach into a new state_dir",
                    )
                    raise self._refused
                self._found = found
            return self._found
