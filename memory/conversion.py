"""The network of torch as other libraries read it: converted once, and kept in a folder."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from memory.backends import INT8, ONNX, ONNX_FILE, OPENVINO_FILE, SUM_FILE, library, sum_of
from memory.durable import disk, sync
from memory.features import Image
from memory.outline import Shape
from memory.patch_network import PatchNetwork

# Left in float, as the first convolution is. Pooling and resampling are cheap and round badly: zeros around the map
# are not among its values. With the first convolution in eight bits scores on tiles differ by 7 %, without it by 1 %.
IN_FLOAT = ("AvgPool", "Interpolate", "Concat")


def convert(name: str, network: PatchNetwork, shape: Shape, kept: Path, taught: Callable[[], Iterable[Image]]) -> None:
    """Convert a network for the backend of this `name` and images of this shape, and store it as the folder `kept`,
    unless another process has done so meanwhile. A crash leaves all of it or nothing by that name.

    For eight bits it is quantized by images `taught`, (height_px, width_px, 3) u8. Raises DriftlineError where the
    library is not installed, StoreError where the disk refuses.
    """
    # On the CPU: only the reference may use a GPU.
    blank = torch.zeros((1, *shape, 3), dtype=torch.uint8)
    exported = torch.export.export(copy.deepcopy(network).cpu(), (blank,))
    with disk(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as draft:
            whole = Path(draft) / kept.name
            whole.mkdir()
            if name == ONNX:
                program = torch.onnx.export(exported, verbose=False)
                assert program is not None  # noqa: S101  # only writing to a file returns none
                (whole / ONNX_FILE).write_bytes(program.model_proto.SerializeToString())
            else:
                ov = library(name)
                model = ov.convert_model(exported)
                model = _quantized(model, list(taught())) if name == INT8 else model
                ov.save_model(model, whole / OPENVINO_FILE, compress_to_fp16=False)
            (whole / SUM_FILE).write_text(sum_of(whole), encoding="ascii")
            for file in whole.iterdir():
                sync(file)
            sync(whole)
            try:
                whole.rename(kept)
            except OSError:
                if not kept.exists():
                    raise
        sync(kept.parent)


def _quantized(model: Any, images: list[Image]) -> Any:
    """OpenVINO's model in eight bits; NNCF corrects each layer's bias, and what is left of it on the mean of all
    patches is corrected behind the last."""
    with redirect_stdout(sys.stderr):  # where its bars and its log would stand in an answer in JSON
        nncf = import_module("nncf")
        nncf.set_log_level(logging.WARNING)
        rounded = _quantized_by(nncf, model, images)
    return _shifted(rounded, _mean_patch(model, images) - _mean_patch(rounded, images))


def _quantized_by(nncf: Any, model: Any, images: list[Image]) -> Any:
    first = next(op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution")
    return nncf.quantize(
        model,
        nncf.Dataset(images, lambda image: image[None]),
        subset_size=len(images),
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope([first], types=list(IN_FLOAT), validate=False),
    )


def _mean_patch(model: Any, images: list[Image]) -> npt.NDArray[np.float64]:
    """The mean (D,) of all patches of images (height_px, width_px, 3)."""
    compiled = library(INT8).Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    means = [compiled(image[None])[0].mean(axis=(0, 1), dtype=np.float64) for image in images]  # (1, P, D) -> (D,)
    mean: npt.NDArray[np.float64] = np.mean(means, axis=0)
    return mean


def _shifted(model: Any, by: npt.NDArray[np.float64]) -> Any:
    """The model with a vector (D,) added to each of its patches (1, P, D)."""
    ov, operations = library(INT8), import_module("openvino.opset13")
    (patches,) = (result.input_value(0) for result in model.get_results())
    moved = operations.add(patches, operations.constant(by.astype(np.float32)))
    return ov.Model([moved], model.get_parameters())
