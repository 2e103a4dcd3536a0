"""A grid that is not the image's is refused, whatever network gives it."""

from __future__ import annotations

import cv2
import pytest

from daemon.datasets.rendered import part
from memory import backbone
from memory.backends import Backend
from memory.errors import DriftlineError
from memory.extract import Extractor
from memory.features import Image, Patches
from memory.grid_check import check_grid

slow = pytest.mark.slow


def made(model: str, layers: tuple[int, ...], input_px: int) -> Extractor:
    weights = "shipped" if model == "driftline-tiny" else "untrained"
    return Extractor(model=model, layers=layers, weights=weights, input_px=input_px, normalize=True, device="cpu")


def picture(input_px: int) -> Image:
    small: Image = cv2.resize(part(1), (input_px, input_px), interpolation=cv2.INTER_AREA)
    return small


@pytest.mark.parametrize(
    ("model", "layers", "input_px", "stride_px", "multiple_px"),
    [
        ("driftline-tiny", (2, 3), 128, 8, 16),
        ("resnet18", (1, 2, 3), 64, 4, 16),
        ("mobilenetv2_100", (2, 3), 64, 8, 16),
        ("mambaout_femto", (1, 2), 64, 8, 16),
        ("vit_tiny_patch16_224", (3, 6), 128, 16, 16),
        ("vit_small_patch14_dinov2.lvd142m", (5,), 70, 14, 14),
        pytest.param("vit_small_patch16_dinov3.lvd1689m", (5, 8), 128, 16, 16, marks=slow),
        pytest.param("swin_tiny_patch4_window7_224", (1, 2), 256, 8, 16, marks=slow),
        pytest.param("wide_resnet50_2", (2, 3), 256, 8, 16, marks=slow),
        pytest.param("convnext_atto", (1, 2), 64, 8, 16, marks=slow),
        pytest.param("vgg11", (2, 3), 64, 4, 8, marks=slow),
    ],
)
def test_networks_of_every_family_give_the_image_s_grid(
    model: str, layers: tuple[int, ...], input_px: int, stride_px: int, multiple_px: int
) -> None:
    extractor = made(model, layers, input_px)
    assert (extractor.stride_px, extractor.multiple_px) == (stride_px, multiple_px)
    assert extractor.grid_of(input_px, input_px) == (input_px // stride_px, input_px // stride_px)
    check_grid(extractor, picture(input_px))


@pytest.mark.parametrize("shape", [(96, 32), (48, 256)])
def test_the_grid_of_another_shape_is_the_image_s_too(extractor: Extractor, shape: tuple[int, int]) -> None:
    check_grid(extractor, part(1)[: shape[0], : shape[1]].copy())


def test_maps_whose_channels_come_last_must_be_read_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "_channels_last", lambda *_: False)
    misread = made("mambaout_femto", (1, 2), 64)
    assert misread.grid_of(64, 64) == (8, 96), "columns and channels"
    with pytest.raises(DriftlineError, match="expected a mark on the image"):
        check_grid(misread, picture(64))


class Transposed:
    """A backend whose rows are columns."""

    name = description = "transposed"

    def __init__(self, right: Backend, grid: tuple[int, int]) -> None:
        self._right = right
        self._grid = grid

    def __call__(self, images: Image) -> Patches:
        patches = self._right(images)
        maps = patches.reshape(len(patches), *self._grid, -1)
        return maps.swapaxes(1, 2).reshape(patches.shape).copy()


def test_rows_that_are_columns_are_refused(extractor: Extractor) -> None:
    wrong = extractor.on(Transposed(extractor.backend, extractor.grid_of(64, 64)))
    with pytest.raises(DriftlineError, match="the largest change in cell"):
        check_grid(wrong, picture(64))


def test_features_that_see_nothing_are_refused(extractor: Extractor) -> None:
    blind = extractor.on(Transposed(lambda images: 0 * extractor.backend(images), (16, 16)))  # type: ignore[arg-type]  # a backend's call alone
    with pytest.raises(DriftlineError, match="the largest change in cell"):
        check_grid(blind, picture(64))
