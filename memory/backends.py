"""Backends that compute the backbone: torch, the reference, or a faster library that must agree (`policies.parity`)."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from memory.errors import DriftlineError
from memory.features import Image, Patches
from memory.outline import Shape
from memory.runtime import computes_alone, processor

if TYPE_CHECKING:
    from memory.patch_network import PatchNetwork

TORCH, ONNX = "torch", "onnx"
OPENVINO, BFLOAT16, INT8 = "openvino", "openvino-bf16", "openvino-int8"
# The library of each backend, by its name in Python and on PyPI, and the extra of ours that installs it.
LIBRARIES = {
    OPENVINO: ("openvino", "openvino"),
    BFLOAT16: ("openvino", "openvino"),
    INT8: ("openvino", "openvino"),
    ONNX: ("onnxruntime", "onnx"),
}
ONNX_FILE, OPENVINO_FILE = "network.onnx", "network.xml"  # OpenVINO's has the weights beside it
SUM_FILE = "sha256"  # of what else is in the folder


class Backend(Protocol):
    """Computes a `PatchNetwork`: images (N, H, W, 3) u8 become patches (N, P, D) f32, in any thread.

    Torch takes images of any shape that the network takes; the others are compiled for one shape and raise
    DriftlineError for another. `name` is what configurations call it; `description` names what computes: the library,
    its version, the processor, and the network as that library has it. A thread that is to compute alone
    (`memory.runtime.compute_alone`) does, where that is the same to the bit.
    """

    name: str
    description: str

    def __call__(self, images: Image) -> Patches: ...


class DamagedNetwork(DriftlineError):
    """A converted network that is not as it was written, or that the backend's library cannot read."""


class OpenVino:
    """OpenVINO, Intel's library: `openvino` computes in float32, `openvino-bf16` in bfloat16 where the processor can,
    `openvino-int8` in eight bits."""

    def __init__(self, name: str, kept: Path, shape: Shape, threads: int) -> None:
        core = library(name).Core()
        precision = "bf16" if name == BFLOAT16 else "f32"
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DriftlineError(
                expected="a processor that computes in bfloat16",
                came=processor(),
                do="set extractor.backend to openvino",
            )
        with _read(kept) as found:
            self.description, model = _description(name, found), core.read_model(kept / OPENVINO_FILE)
        wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        self.name = name

        def request(count: int) -> tuple[Any, threading.Lock]:
            compiled = core.compile_model(model, "CPU", wanted | {"INFERENCE_NUM_THREADS": count})
            return compiled.create_infer_request(), threading.Lock()  # a version is compared while frames are judged

        self._shape = shape
        self._together = self._alone = request(threads)
        if threads > 1:
            alone, drawn = request(1), np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
            if np.array_equal(self._by(alone, drawn), self._by(self._together, drawn)):
                self._alone = alone

    def __call__(self, images: Image) -> Patches:
        return _one_by_one(images, self._shape, self._patches)

    def _patches(self, image: Image) -> Patches:
        return self._by(self._alone if computes_alone() else self._together, image)

    def _by(self, one: tuple[Any, threading.Lock], image: Image) -> Patches:
        request, busy = one
        with busy:
            request.infer([image], share_inputs=True)
            patches: Patches = np.array(request.get_output_tensor().data)  # the next image overwrites its own
        return patches


class OnnxRuntime:
    """ONNX Runtime, Microsoft's library, in float32; it has its own threads, as many for every caller."""

    name = ONNX

    def __init__(self, kept: Path, shape: Shape, threads: int) -> None:
        ort = library(self.name)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        with _read(kept) as found:
            self.description = _description(self.name, found)
            self._session = ort.InferenceSession(kept / ONNX_FILE, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._shape = shape

    def __call__(self, images: Image) -> Patches:
        return _one_by_one(images, self._shape, self._patches)

    def _patches(self, image: Image) -> Patches:
        patches: Patches = self._session.run(None, {self._input: image})[0]
        return patches


def compiled(
    name: str,
    network: Callable[[], PatchNetwork],
    shape: Shape,
    threads: int,
    kept: Path,
    taught: Callable[[], Iterable[Image]],
) -> Backend:
    """The backend of this `name` for images of this shape; it may use so many `threads`.

    The network as that backend reads it lies in the folder `kept`. Where there is none yet, it is converted, for eight
    bits with images `taught` of the same shape, (height_px, width_px, 3) u8; only then `network` is asked for. Raises
    DriftlineError where the library is not installed or the processor cannot do it, DamagedNetwork for what is kept.
    """
    library(name)
    if not kept.exists():
        from memory.conversion import convert

        convert(name, network(), shape, kept, taught)
    return OnnxRuntime(kept, shape, threads) if name == ONNX else OpenVino(name, kept, shape, threads)


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


def installed(name: str) -> bool:
    """Whether the library that computes a backend is there, which is not loaded for that. An empty folder of its name
    is none."""
    found = find_spec(LIBRARIES[name][0])
    return found is not None and found.loader is not None and _version(LIBRARIES[name][0]) != "none"


def versions(name: str) -> str:
    """The versions of what converts and computes a network for a backend."""
    converted_by = ("driftline", "torch", LIBRARIES[name][0], *(("nncf",) if name == INT8 else ()))
    return " ".join(f"{each} {_version(each)}" for each in converted_by)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _one_by_one(images: Image, shape: Shape, patches_of: Callable[[Image], Patches]) -> Patches:
    """Patches (N, P, D) of images (N, H, W, 3), each computed as a batch of one, (1, H, W, 3)."""
    if images.shape[1:] != (*shape, 3):
        raise DriftlineError(
            expected=f"images of {(*shape, 3)}, for which the backend is compiled",
            came=f"{images.shape[1:]}",
            do="set extractor.backend to torch, which takes images of any shape",
        )
    return np.concatenate([patches_of(image[None]) for image in images])


def kept_name(name: str, fingerprint: str, follows_from: str) -> str:
    """The name of the folder of a network that was converted for a backend: by its fingerprint, what else it
    `follows_from`, and the versions of what converts it."""
    return f"{name}-{fingerprint[:12]}-{follows_from}-{hashlib.sha256(versions(name).encode()).hexdigest()[:8]}"


def sum_of(kept: Path) -> str:
    """The SHA-256 of a folder's files by their names, without that of the sum itself."""
    files = sorted(file for file in kept.iterdir() if file.name != SUM_FILE)
    sums = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


@contextmanager
def _read(kept: Path) -> Iterator[str]:
    """A context in which a converted network is read, with its sum. Raises DamagedNetwork where that is not the one it
    was written with, or where the library refuses what it reads."""
    try:
        found, written = sum_of(kept), (kept / SUM_FILE).read_text(encoding="ascii")
        if found != written:
            raise ValueError(f"the sum {found[:12]} instead of {written[:12]}")
        yield found
    except (MemoryError, PermissionError):  # no word on the network
        raise
    except Exception as error:  # each library raises its own
        raise DamagedNetwork(
            expected=f"a converted network in {kept}",
            came=f"{type(error).__name__}: {str(error)[:300]}",
            do="remove that folder: it is made again",
        ) from error


def _description(name: str, found: str) -> str:
    module, _ = LIBRARIES[name]
    return f"{name}, {module} {version(module)}, {processor()}, network {found[:12]}"
