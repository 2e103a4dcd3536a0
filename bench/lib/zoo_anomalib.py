"""anomalib's part of bench/zoo.py, in its own environment: the same images, backbone and weights.

usage: .venv-anomalib/bin/python -m bench.lib.zoo_anomalib TASK.json RESULT.json

Each model fits and scores as anomalib's engine would, with its defaults: images squeezed to a square, a tenth of the
patches in PatchCore's coreset, a hundred features in PaDiM, a thousand vectors in MHPatchcore. SuperSimpleNet is
trained for fewer steps than published. Only the coreset is chosen by our greedy algorithm, which is as good
(bench/coreset.py): theirs takes minutes a set, and on Debian 12, whose malloc keeps the 20 MB that it frees at each
step, more memory than there is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from anomalib.models import MHPatchcore, Padim, Patchcore, Supersimplenet
from anomalib.models.components import TimmFeatureExtractor
from anomalib.models.image.supersimplenet import torch_model
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from daemon.settings.load import load
from memory.extract import Extractor
from memory.patch_bank.coreset import select

BATCH, STEPS = 8, 100
CORESET_SHARE, PADIM_FEATURES, PASSES = 0.1, 100, 3
TRAINED = "SuperSimpleNet"
PEERS: dict[str, Callable[..., Any]] = {"PatchCore": Patchcore, "PaDiM": Padim, "MHPatchcore": MHPatchcore}


def main() -> None:
    """Score every set by the peers that the task names."""
    task = json.loads(Path(sys.argv[1]).read_text())
    settings = load(None, [*task["set"], "extractor.device=cpu"])
    chosen = settings.extractor.model_dump(exclude={"backend", "threads", "scorer"})
    ours = Extractor(**chosen)
    torch.set_num_threads(2)
    found: dict[str, dict[str, dict[str, Any]]] = {peer: {} for peer in task["peers"]}
    for name, case in task["cases"].items():
        for peer in task["peers"]:
            found[peer][name] = judged(peer, settings.extractor.model, ours, case["taught"], case["shown"])
        print(name, file=sys.stderr, flush=True)
    Path(sys.argv[2]).write_text(json.dumps(found))


def judged(peer: str, backbone: str, ours: Extractor, taught: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    """What a peer that was fitted to the taught images makes of the shown ones, one after the other, and what it
    takes."""
    started = time.perf_counter()
    model = fitted(peer, backbone, ours, taught).model
    fit_s, scores = time.perf_counter() - started, []
    started = time.perf_counter()
    with torch.inference_mode():
        for path in shown:
            (batch,) = batches([path], ours)
            scores.append(float(model(batch).pred_score.reshape(-1)[0]))
    frame_ms = 1000 * (time.perf_counter() - started) / len(shown)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"scores": scores, "fit_s": fit_s, "frame_ms": frame_ms, "peak_mb": peak_mb}


def fitted(peer: str, backbone: str, ours: Extractor, taught: Sequence[str]) -> Any:
    """A peer that was fitted to the taught images, without inference mode, whose tensors cannot be exported."""
    torch.manual_seed(0)
    if peer == TRAINED:
        return trained(ours, backbone, taught)
    with torch.no_grad():
        return _remembering(peer, backbone, ours, taught)


def trained(ours: Extractor, backbone: str, taught: Sequence[str]) -> Any:
    """SuperSimpleNet, trained as its module says, for `STEPS` steps, the learning rate lowered near their end."""
    network = ours.network.network
    # It asks for pretrained weights of a hub, which ours replace.
    torch_model.TimmFeatureExtractor = partial(TimmFeatureExtractor, pre_trained=False)
    learner = Supersimplenet(backbone=backbone, layers=network.feature_info.module_name())
    model = learner.model
    model.feature_extractor.feature_extractor.feature_extractor.load_state_dict(network.state_dict())
    learner.trainer = SimpleNamespace(max_epochs=STEPS)
    (optimizer,), (schedule,) = learner.configure_optimizers()
    every = torch.cat(list(batches(taught, ours)))
    model.train()
    for _ in range(STEPS):
        images = every[torch.randperm(len(every))[:BATCH]]
        anomaly, score, masks, labels = model(images=images, labels=torch.zeros(len(images)))
        loss = learner.loss(pred_map=anomaly, pred_score=score, target_mask=masks, target_label=labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return learner.eval()


def _remembering(peer: str, backbone: str, ours: Extractor, taught: Sequence[str]) -> Any:
    network = ours.network.network
    more = {"n_features": PADIM_FEATURES} if peer == "PaDiM" else {}
    layers = network.feature_info.module_name()
    learner = PEERS[peer](backbone=backbone, layers=layers, pre_trained=False, **more)
    model = learner.model
    model.feature_extractor.feature_extractor.load_state_dict(network.state_dict())
    model.train()
    model.feature_extractor.eval()
    if peer == "MHPatchcore":
        for _ in range(PASSES):
            for batch in batches(taught, ours):
                learner.training_step(SimpleNamespace(image=batch))
            learner.fit()
    else:
        for batch in batches(taught, ours):
            model(batch)
        if peer == "PatchCore":
            every = torch.vstack(model.embedding_store).numpy()
            rows = select(every[:0], every, int(CORESET_SHARE * len(every)), 0)
            model.memory_bank = torch.from_numpy(every[rows])
        else:
            model.fit()
    return learner.eval()


def batches(paths: Iterable[str], ours: Extractor) -> Iterator[torch.Tensor]:
    """The images (n, 3, H, W) as anomalib's pre-processor makes them, normalised for the backbone."""
    side, mean, std = ours.input_px, ours.network.mean, ours.network.std
    read = [pil_to_tensor(Image.open(path).convert("RGB")) for path in paths]
    squares = [resize(image, [side, side], antialias=True).float() / 255 for image in read]
    for start in range(0, len(squares), BATCH):
        yield (torch.stack(squares[start : start + BATCH]) - mean) / std


if __name__ == "__main__":
    main()
