"""anomalib's part of bench/exported.py, in its own environment: exports judged here beside anomalib's own scores.

usage: .venv-anomalib/bin/python -m bench.lib.exported_anomalib SHARED
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from bench.lib.exported_files import row
from bench.lib.zoo_anomalib import fitted
from daemon.settings.load import load
from memory.extract import Extractor

SET, MODEL, SIDE_PX = "cookies", "mobilenetv2_100", 256


def main() -> None:
    """A row for each model and format, on stderr as all that is run so prints there."""
    shared = Path(sys.argv[1])
    weights = shared / "weights" / f"{MODEL}.safetensors"
    named = [f"extractor.model={MODEL}", f"extractor.weights={weights}", "extractor.normalize=false"]
    settings = load(None, [*named, "extractor.device=cpu"])
    ours = Extractor(**settings.extractor.model_dump(exclude={"backend", "threads", "scorer"}))
    zoo = shared / "data" / "zoo" / SET
    taught = [str(path) for path in sorted((zoo / "train" / "good").iterdir())]
    images = [cv2.imread(str(path))[:, :, ::-1] for path in sorted((zoo / "test").rglob("*.*"))]
    squares = np.stack([cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for image in images])
    for name in ("PaDiM", "PatchCore"):
        learner = fitted(name, MODEL, ours, taught)
        with torch.no_grad():
            told = [learner(torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255) for each in squares]
        own = np.array([float(each.pred_score.max()) for each in told])
        with tempfile.TemporaryDirectory() as folder:
            files = [learner.to_onnx(Path(folder), input_size=(SIDE_PX, SIDE_PX))]
            files.append(learner.to_openvino(Path(folder), input_size=(SIDE_PX, SIDE_PX)))
            for file in files:
                print(row(f"anomalib's {name}", Path(file), squares, own), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
