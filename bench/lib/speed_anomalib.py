"""anomalib's part of bench/speed.py, in its own environment: the same images, backbone, weights and bank.

usage: .venv-anomalib/bin/python -m bench.lib.speed_anomalib FOLDER BACKEND RESULT.json

Its OpenVINO export takes two images at once and no other number (2.7 with torch 2.14): it is given each twice, and half
of the time counts.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from anomalib.models import Patchcore
from PIL import Image

from bench.lib.speed_protocol import INPUT_PX, extractor, read, timed

PAIR = 2


def main() -> None:
    """Score the images."""
    task, vectors = read(Path(sys.argv[1]))
    torch.set_num_threads(2)
    ours = extractor(task.backbone)
    layers = ours.network.network.feature_info.module_name()
    learner = Patchcore(backbone=task.backbone, layers=layers, pre_trained=False, num_neighbors=1).eval()
    learner.model.feature_extractor.feature_extractor.load_state_dict(ours.network.network.state_dict())
    exported, by_bank = sys.argv[2] == "openvino", []
    for size in task.sizes:
        learner.model.memory_bank = torch.from_numpy(vectors[:size])
        score = _exported(learner) if exported else _torch(learner, ours.network.mean, ours.network.std)
        times = timed(task.images, lambda data, score=score: score(_pixels(data)))
        by_bank.append(times | {"ms": [ms / PAIR for ms in times["ms"]]} if exported else times)
    Path(sys.argv[3]).write_text(json.dumps(by_bank))


def _pixels(data: bytes) -> torch.Tensor:
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((INPUT_PX, INPUT_PX), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255  # (H, W, 3) -> (1, 3, H, W)


def _torch(learner: Patchcore, mean: torch.Tensor, std: torch.Tensor) -> Callable[[torch.Tensor], float]:
    def score(pixels: torch.Tensor) -> float:
        with torch.inference_mode():
            scored = learner.model((pixels - mean) / std)
        scored.anomaly_map.numpy()
        return float(scored.pred_score)

    return score


def _exported(learner: Patchcore) -> Callable[[torch.Tensor], float]:
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        model = ov.Core().read_model(learner.to_openvino(export_root=folder, input_size=(INPUT_PX, INPUT_PX)))
        wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"}
        request = ov.Core().compile_model(model, "CPU", wanted).create_infer_request()

    def score(pixels: torch.Tensor) -> float:
        request.infer([pixels.repeat(PAIR, 1, 1, 1).numpy()])
        np.array(request.get_tensor("anomaly_map").data)
        return float(request.get_tensor("pred_score").data.reshape(-1)[0])

    return score


if __name__ == "__main__":
    main()
