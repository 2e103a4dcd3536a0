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
from bench.lib.zoo_anomalib import CORESET_SHARE, PADIM_FEATURES, PEERS, batches
from daemon.settings.load import load
from memory.extract import Extractor
from memory.patch_bank.coreset import select

SET, MODEL, SIDE_PX = "cookies", "mobilenetv2_100", 256


def main() -> None:
    """A row for each model and format, on stderr as all that is run so prints there."""
    shared = Path(sys.argv[1])
    weights = shared / "weights" / f"{MODEL}.safetensors"
    named = [f"extractor.model={MODEL}", f"extractor.weights={weights}", "extractor.normalize=false"]
    settings = load(None, [*named, "extractor.device=cpu"])
    ours = Extractor(**settings.extractor.model_dump(exclude={"backend", "threads", "scorer"}))
    network, zoo = ours.network.network, shared / "data" / "zoo" / SET
    taught = [str(path) for path in sorted((zoo / "train" / "good").iterdir())]
    images = [cv2.imread(str(path))[:, :, ::-1] for path in sorted((zoo / "test").rglob("*.*"))]
    squares = np.stack([cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for image in images])
    for name in ("PaDiM", "PatchCore"):
        torch.manual_seed(0)
        more = {"n_features": PADIM_FEATURES} if name == "PaDiM" else {}
        learner = PEERS[name](backbone=MODEL, layers=network.feature_info.module_name(), pre_trained=False, **more)
        model = learner.model
        model.feature_extractor.feature_extractor.load_state_dict(network.state_dict())
        model.train()
        model.feature_extractor.eval()
        with torch.no_grad():  # what inference_mode makes cannot be exported
            for batch in batches(taught, ours):
                model(batch)
            if name == "PatchCore":
                every = torch.vstack(model.embedding_store)
                rows = select(every.numpy()[:0], every.numpy(), int(CORESET_SHARE * len(every)), 0)
                model.memory_bank = every[torch.from_numpy(rows)].clone()
            else:
                model.fit()
            model.eval()
            learner.eval()
            told = [learner(torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255) for each in squares]
        own = np.array([float(each.pred_score.max()) for each in told])
        with tempfile.TemporaryDirectory() as folder:
            files = [learner.to_onnx(Path(folder), input_size=(SIDE_PX, SIDE_PX))]
            files.append(learner.to_openvino(Path(folder), input_size=(SIDE_PX, SIDE_PX)))
            for file in files:
                print(row(f"anomalib's {name}", Path(file), squares, own), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
