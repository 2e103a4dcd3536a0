"""anomalib's part of bench/speed.py, in its own environment: the same images, backbone, weights and bank.

usage: .venv-anomalib/bin/python bench/speed_anomalib.py GIVEN.npz RESULT.json
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.speed_protocol import INPUT_PX, WARM, backbone, images, peak_mib


def main() -> None:
    """Score every image once the first `WARM` have been."""
    with np.load(sys.argv[1]) as held:
        name, vectors = str(held["backbone"]), held["vectors"]
    torch.set_num_threads(2)
    ours = backbone(name)
    layers = ours.network.network.feature_info.module_name()
    model = PatchcoreModel(layers=layers, backbone=name, pre_trained=False, num_neighbors=1).eval()
    model.feature_extractor.feature_extractor.load_state_dict(ours.network.network.state_dict())
    model.memory_bank = torch.from_numpy(vectors)
    mean, std = ours.network.mean, ours.network.std
    took, scores = [], []
    for data in images():
        started = time.perf_counter()
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((INPUT_PX, INPUT_PX), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255  # (H, W, 3) -> (1, 3, H, W)
        with torch.inference_mode():
            found = model((pixels - mean) / std)
        score = float(found.pred_score)
        found.anomaly_map.numpy()
        took.append(1000 * (time.perf_counter() - started))
        scores.append(score)
    Path(sys.argv[2]).write_text(json.dumps({"ms": took[WARM:], "scores": scores, "rss_mib": peak_mib()}))


if __name__ == "__main__":
    main()
