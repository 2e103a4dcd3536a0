"""Backends that compute the backbone: torch, the reference, or a faster library that must agree (`policies.parity`)."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import torch

from memory.errors import DriftlineError
from memory.features import Image, Patches
from memory.packed import Packed
from memory.patch_network import PatchNetwork
from memory.runtime import computes_alone, processor
from memory.tiny import Tiny

Shape = tuple[int, int]  # of an image: height_px, width_px

# The library of each backend, by its name in Python and on PyPI, and the extra of ours that installs it.
LIBRARIES = {
    "openvino": ("openvino", "openvino"),
    "openvino-bf16": ("openvino", "openvino"),
    "openvino-int8": ("openvino", "openvino"),
    "onnx": ("onnxruntime", "onnx"),
}
# Left in float, as the first convolution is. Pooling and resampling are cheap and round badly: zeros around the map
# are not among its values. With the first convolution in eight bits scores on tiles differ by 7 %, without it by 1 %.
IN_FLOAT = ("AvgPool", "Interpolate", "Concat")


class Backend(Protocol):
    """Computes a `PatchNetwork`: images (N, H, W, 3) u8 become patches (N, P, D) f32, in any thread.

    Torch takes images of any shape that the network takes; the others are compiled for one shape and raise
    DriftlineError for another. `name` is what configurations call it; `description` names what computes: the library,
    its version, and the processor. `same_alone` is whether one thread computes the same to the bit as several.
    """

    name: str
    description: str
    same_alone: bool

    def __call__(self, images: Image) -> Patches: ...


class Torch:
    """The reference backend: torch in float32, on a processor or a GPU."""

    name = "torch"

    def __init__(self, network: PatchNetwork, device: torch.device) -> None:
        # As images come: the fastest on a CPU.
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self.same_alone = False  # of EfficientNet and MobileNet it is not
        if device.type == "cpu" and isinstance(network.network, Tiny) and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types for it
            self._network, self.same_alone = network.computed_by(Packed(network.network)), True
        self._device = device
        self.description = f"{self.name} {version('torch')}, {device}"
        torch.backends.cudnn.allow_tf32 = False  # a GPU's features must be those of a PC without one

    @torch.inference_mode()
    def __call__(self, images: Image) -> Patches:
        patches: Patches = self._network(torch.from_numpy(images).to(self._device)).contiguous().cpu().numpy()
        return patches


class OpenVino:
    """OpenVINO, Intel's library: `openvino` computes in float32, `openvino-bf16` in bfloat16 where the processor can,
    `openvino-int8` the network of `quantized` in eight bits."""

    same_alone = True

    def __init__(self, name: str, model: Any, shape: Shape, threads: int) -> None:
        core = library(name).Core()
        precision = "bf16" if name == "openvino-bf16" else "f32"
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DriftlineError(
                expected="a processor that computes in bfloat16",
                came=processor(),
                do="set extractor.backend to openvino",
            )
        wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        self.name, self.description = name, _description(name)

        def request(count: int) -> tuple[Any, threading.Lock]:
            compiled = core.compile_model(model, "CPU", wanted | {"INFERENCE_NUM_THREADS": count})
            return compiled.create_infer_request(), threading.Lock()  # a version is compared while frames are judged

        self._together = request(threads)
        self._alone = request(1) if threads > 1 else self._together
        self._shape = shape

    def __call__(self, images: Image) -> Patches:
        return _one_by_one(images, self._shape, self._patches)

    def _patches(self, image: Image) -> Patches:
        request, busy = self._alone if computes_alone() else self._together
        with busy:
            request.infer([image], share_inputs=True)
            patches: Patches = np.array(request.get_output_tensor().data)  # the next image overwrites its own
        return patches


class OnnxRuntime:
    """ONNX Runtime, Microsoft's library, in float32."""

    name = "onnx"
    same_alone = True  # it has its own threads, as many for every caller

    def __init__(self, network: PatchNetwork, shape: Shape, threads: int) -> None:
        ort = library(self.name)
        program = torch.onnx.export(_exported(network, shape), verbose=False)
        assert program is not None  # noqa: S101  # only writing to a file returns none
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = ort.InferenceSession(
            program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self.description = _description(self.name)
        self._shape = shape

    def __call__(self, images: Image) -> Patches:
        return _one_by_one(images, self._shape, self._patches)

    def _patches(self, image: Image) -> Patches:
        patches: Patches = self._session.run(None, {self._input: image})[0]
        return patches


def compiled(
    name: str, network: PatchNetwork, shape: Shape, threads: int, kept: Path, taught: Iterable[Image]
) -> Backend:
    """The network on the backend of this `name`, for images of this shape; it may use so many `threads`.

    A network in eight bits is quantized once, with images `taught` of the same shape, (height_px, width_px, 3) u8, and
    stored in the folder `kept`. Raises DriftlineError where the library is not installed or the processor cannot do it.
    """
    if name == OnnxRuntime.name:
        return OnnxRuntime(network, shape, threads)
    model = quantized(network, shape, kept, taught) if name == "openvino-int8" else _converted(network, shape)
    return OpenVino(name, model, shape, threads)


def quantized(network: PatchNetwork, shape: Shape, kept: Path, taught: Iterable[Image]) -> Any:
    """The network in eight bits, read from the folder `kept`, or made and stored there; NNCF corrects each layer's
    bias."""
    ov, file = library("openvino-int8"), "network.xml"
    if not kept.exists():
        nncf, model, images = import_module("nncf"), _converted(network, shape), list(taught)
        first = next(op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution")
        model = nncf.quantize(
            model,
            nncf.Dataset(images, lambda image: image[None]),
            subset_size=len(images),
            fast_bias_correction=False,
            ignored_scope=nncf.IgnoredScope([first], types=list(IN_FLOAT), validate=False),
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as draft:  # a crash leaves all of it or nothing
            whole = Path(draft) / kept.name
            ov.save_model(model, whole / file, compress_to_fp16=False)
            whole.rename(kept)
    try:
        return ov.Core().read_model(kept / file)
    except RuntimeError as error:
        raise DriftlineError(
            expected=f"the network in eight bits in {kept}",
            came=str(error)[:300],
            do="remove that folder: it is made again",
        ) from error


def library(name: str) -> Any:
    """The library that computes a backend. Raises DriftlineError where it is not installed."""
    module, extra = LIBRARIES[name]
    # Intel's libraries tell Google how they are used unless this one is missing; nothing may leave a plant.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # Python's own sign for "not there"
    try:
        return import_module(module)
    except ImportError as error:
        raise DriftlineError(
            expected=f"{module}, which computes extractor.backend {name}",
            came=str(error),
            do=f"pip install 'driftline[{extra}]', or set extractor.backend to torch",
        ) from error


def _one_by_one(images: Image, shape: Shape, patches_of: Callable[[Image], Patches]) -> Patches:
    """Patches (N, P, D) of images (N, H, W, 3), each computed as a batch of one, (1, H, W, 3)."""
    if images.shape[1:] != (*shape, 3):
        raise DriftlineError(
            expected=f"images of {(*shape, 3)}, for which the backend is compiled",
            came=f"{images.shape[1:]}",
            do="set extractor.backend to torch, which takes images of any shape",
        )
    return np.concatenate([patches_of(image[None]) for image in images])


def _converted(network: PatchNetwork, shape: Shape) -> Any:
    return library("openvino").convert_model(_exported(network, shape))


def _exported(network: PatchNetwork, shape: Shape) -> torch.export.ExportedProgram:
    # On the CPU: only the reference may use a GPU.
    return torch.export.export(copy.deepcopy(network).cpu(), (torch.zeros((1, *shape, 3), dtype=torch.uint8),))


def _description(name: str) -> str:
    module, _ = LIBRARIES[name]
    return f"{name}, {module} {version(module)}, {processor()}"
