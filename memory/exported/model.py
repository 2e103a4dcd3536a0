"""A model that another tool has exported, as ONNX or OpenVINO: its anomaly map, score or boxes as values of patches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from memory.backends import library
from memory.errors import DriftlineError
from memory.features import Image

ONNX = ".onnx"
OWN_PX = 256  # of a model that takes images of any size
CORNERS = 6  # values of a box that tells its corners, confidence and class
BOX = 4  # values of a box before its classes: x, y, width, height of its middle
Outputs = Mapping[str, npt.NDArray[np.float32]]
Run = Callable[[npt.NDArray[Any]], Outputs]
Values = npt.NDArray[np.float32]


class UnsuitableModel(DriftlineError):
    """A file that is no model, or one whose input or output is none that is known here."""


class ExportedModel:
    """An exported model: of one image it gives an anomaly map, an anomaly score, both, or boxes with confidences.

    It takes RGB from 0 to 1, (N, 3, H, W), as anomalib and Ultralytics export it; images are resized to its size, and
    given as often as it wants at once: anomalib 2.7 exports PatchCore for two. It is tried once when it is opened.
    OpenVINO computes in float32: left alone it may choose bfloat16, and other verdicts. Raises UnsuitableModel, and
    DriftlineError where its library is not installed.
    """

    def __init__(self, file: Path, threads: int) -> None:
        self.file = file
        try:
            self.sha256 = _digest(file)
            self._run, shape = (_onnx if file.suffix == ONNX else _openvino)(file, threads)
            if len(shape) != 4 or shape[1] != 3:
                raise self._unsuitable(f"an input of {shape}")
            self._at_once = shape[0] or 1
            self._size_px = (shape[2] or OWN_PX, shape[3] or OWN_PX)
            if (self._told(np.zeros((*self._size_px, 3), dtype=np.uint8)) < 0).any():
                raise self._unsuitable("a value below 0")  # the smallest anomaly is 0, as outside of a region
        except DriftlineError:  # as it is: of the model, or of a library that is not installed
            raise
        except _errors(file) as error:
            raise self._unsuitable(f"{type(error).__name__}: {str(error)[:300]}") from error

    def __call__(self, images: Image, grid: tuple[int, int]) -> Values:
        """The values (N, P) of images (N, H, W, 3) u8 at the cells of a grid, row by row: the largest of each cell's
        anomaly map, on the scale of the model's own score where it gives one; below 0 is 0. Raises UnsuitableModel
        where an output is not finite."""
        maps = (np.maximum(self._told(image), 0) for image in images)
        return np.stack([_largest(each, grid).reshape(-1) for each in maps])  # (rows, columns) -> (P,)

    def _told(self, image: Image) -> Values:
        """The anomaly map (h, w) of an image (H, W, 3)."""
        height, width = self._size_px
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        batch = np.ascontiguousarray(resized.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
        outputs = self._run(np.repeat(batch, self._at_once, axis=0))
        values = self._read({name: each[:1] if each.ndim else each for name, each in outputs.items()})
        if not np.isfinite(values).all():
            raise self._unsuitable("an output that is not finite")
        return values

    def _read(self, outputs: Outputs) -> Values:
        """The anomaly map (h, w) that outputs tell; one value for all where they tell a score alone."""
        maps = [each for name, each in outputs.items() if name == "anomaly_map"]
        maps += [each for each in outputs.values() if each.ndim == 4 and each.shape[1] == 1 and each.size > 1]
        scores = [each for name, each in outputs.items() if name == "pred_score"]
        scores += [each for each in outputs.values() if each.size == 1]
        several = len({each.ndim for each in outputs.values()} & {3, 4}) > 1  # boxes with masks, which are not read
        boxes = [each for each in outputs.values() if each.ndim == 3 and min(each.shape[1:]) > BOX and not several]
        if maps:
            anomaly = maps[0].reshape(maps[0].shape[-2:])
            top = float(anomaly.max())
            score = float(scores[0].max()) if scores else top
            return anomaly * np.float32(score / top) if top > 0 else np.full_like(anomaly, score)
        if scores:
            return scores[0].reshape(1, 1)
        if boxes:
            return self._drawn(boxes[0][0])
        raise self._unsuitable("outputs " + ", ".join(f"{name} {each.shape}" for name, each in outputs.items()))

    def _drawn(self, boxes: Values) -> Values:
        """Boxes (4 + classes, n), or (n, 6) of corners, confidence and class, as a map: each pixel has the confidence
        of the surest box over it. Raises UnsuitableModel for confidences that are none."""
        anomaly = np.zeros(self._size_px, dtype=np.float32)
        if boxes.shape[0] > boxes.shape[1] == CORNERS:  # without duplicates: Ultralytics' end-to-end export
            left_top, right_bottom = boxes[:, :2], boxes[:, 2:4]
            boxes = np.concatenate([(left_top + right_bottom) / 2, right_bottom - left_top, boxes[:, 4:5]], axis=1).T
        confidence = boxes[BOX:].max(axis=0)
        if not np.isfinite(boxes).all() or (confidence < 0).any() or (confidence > 1).any():
            raise self._unsuitable(f"boxes of {boxes.shape} whose confidences are not between 0 and 1")
        for one in np.argsort(confidence, kind="stable"):  # the surest is drawn last
            x, y, width, height = boxes[:BOX, one]
            top, left = max(round(float(y - height / 2)), 0), max(round(float(x - width / 2)), 0)
            bottom, right = round(float(y + height / 2)), round(float(x + width / 2))
            anomaly[top : max(bottom, top + 1), left : max(right, left + 1)] = confidence[one]
        return anomaly

    def _unsuitable(self, came: str) -> UnsuitableModel:
        return UnsuitableModel(
            expected="a model (.onnx, or OpenVINO's .xml) of images (N, 3, H, W) that gives an anomaly map"
            " (1, 1, h, w), a score, or boxes as Ultralytics' YOLO does",
            came=f"{came}, of {self.file}",
            do="export it so, or correct extractor.scorer",
        )


def _digest(file: Path) -> str:
    """SHA-256 of a model's file and of its weights where they lie apart: `model.bin` of OpenVINO's `model.xml`, and
    `model.onnx.data` as torch names them."""
    digest = hashlib.sha256(file.read_bytes())
    apart = file.with_name(f"{file.name}.data") if file.suffix == ONNX else file.with_suffix(".bin")
    if apart.exists():
        digest.update(apart.read_bytes())
    return digest.hexdigest()


def _largest(values: Values, grid: tuple[int, int]) -> Values:
    """The largest value (rows, columns) in each cell of a grid; of a coarser map the value that covers the cell."""
    rows, columns = (
        np.linspace(0, side, count + 1)[:-1].astype(int) for side, count in zip(values.shape, grid, strict=True)
    )
    return np.asarray(np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1))


def _onnx(file: Path, threads: int) -> tuple[Run, list[int | None]]:
    ort = library("onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    given, names = session.get_inputs()[0], [output.name for output in session.get_outputs()]

    def run(batch: npt.NDArray[Any]) -> Outputs:
        found = session.run(None, {given.name: batch})
        return {name: np.asarray(each, dtype=np.float32) for name, each in zip(names, found, strict=True)}

    return run, [side if isinstance(side, int) else None for side in given.shape]


def _openvino(file: Path, threads: int) -> tuple[Run, list[int | None]]:
    core = library("openvino").Core()
    model = core.read_model(file)
    wanted = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    shape = [None if side.is_dynamic else side.get_length() for side in model.input(0).partial_shape]
    compiled = core.compile_model(model, "CPU", wanted)

    def run(batch: npt.NDArray[Any]) -> Outputs:
        found = compiled.create_infer_request().infer([batch])  # its own: frames and lessons ask at once
        return {
            min(output.get_names(), default=str(number)): np.array(found[output], dtype=np.float32)
            for number, output in enumerate(compiled.outputs)
        }

    return run, shape


def _errors(file: Path) -> tuple[type[Exception], ...]:
    """What the library raises of a file or an input that it does not take."""
    common = (OSError, RuntimeError, ValueError)
    if file.suffix != ONNX or find_spec("onnxruntime") is None:
        return common
    raised = import_module("onnxruntime.capi.onnxruntime_pybind11_state")  # they share no base class
    own = (each for each in vars(raised).values() if isinstance(each, type) and issubclass(each, Exception))
    return (*common, *own)
