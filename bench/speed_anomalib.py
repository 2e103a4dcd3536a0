"""anomalib's part of bench/speed.py, in its own environment: the same images, backbone, weights and bank.

usage: .venv-anomalib/bin/python bench/speed_anomalib.py GIVEN.npz BACKEND RESULT.json

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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.speed_protocol import INPUT_PX, backbone, timed

PAIR = 2


def main() -> None:
    """Score the images."""
    with np.load(sys.argv[1]) as held:
        name, vectors, sizes = str(held["backbone"]), held["vectors"], held["sizes"].tolist()
    torch.set_num_threads(2)
    ours = backbone(name)
    layers = ours.network.network.feature_info.module_name()
    learner = Patchcore(backbone=name, layers=layers, pre_trained=False, num_neighbors=1).eval()
    learner.model.feature_extractor.feature_extractor.load_state_dict(ours.network.network.state_dict())
    exported, told = sys.argv[2] == "openvino", []
    for size in sizes:
        learner.model.memory_bank = torch.from_numpy(vectors[:size])
        look = _exported(learner) if exported else _torch(learner, ours.network.mean, ours.network.std)
        mine = timed(lambda data, look=look: look(_pixels(data)))
        told.append(mine | {"ms": [ms / PAIR for ms in mine["ms"]]} if exported else mine)
    Path(sys.argv[3]).write_text(json.dumps(told))


def _pixels(data: bytes) -> torch.Tensor:
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((INPUT_PX, INPUT_PX), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255  # (H, W, 3) -> (1, 3, H, W)


def _torch(learner: Patchcore, mean: torch.Tensor, std: torch.Tensor) -> Callable[[torch.Tensor], float]:
    def look(pixels: torch.Tensor) -> float:
        with torch.inference_mode():
            found = learner.model((pixels - mean) / std)
        found.anomaly_map.numpy()
        return float(found.pred_score)

    return look


def _exported(learner: Patchcore) -> Callable[[torch.Tensor], float]:
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        model = ov.Core().read_model(learner.to_openvino(export_root=folder, input_size=(INPUT_PX, INPUT_PX)))
        wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"}
        request = ov.Core().compile_model(model, "CPU", wanted).create_infer_request()

    def look(pixels: torch.Tensor) -> float:
        request.infer([pixels.repeat(PAIR, 1, 1, 1).numpy()])
        np.array(request.get_tensor("anomaly_map").data)
        return float(request.get_tensor("pred_score").data.reshape(-1)[0])

    return look


if __name__ == "__main__":
    main()
