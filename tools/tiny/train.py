"""Train driftline-tiny: a student learns its teacher's features on drawn pictures and on some real tiles.

usage: python -m tools.tiny.train [--pictures 40000] [--epochs 12] [--seed 0] [--folder .tiny]

Needs DRIFTLINE_SHARED or ../shared for the teacher's weights and the tiles (setup and stream roles only). Pictures and
what the teacher says of them are made once, shard by shard; training is saved after every epoch. Started again, it goes
on where it was; the same numbers give the same weights on one machine. Writes memory/driftline-tiny.safetensors.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.lib.material import material
from memory.runtime import keep_freed_memory
from memory.tiny import OUTPUTS, Tiny
from tools.tiny.pictures import SIDE_PX, picture, seen

OUT = Path(__file__).resolve().parents[2] / "memory" / "driftline-tiny.safetensors"
SHARD = 1000
TILES_SHARE = 0.15
BATCH = 32
RATE = 2e-3


def shards(folder: Path, count: int, seed: int) -> list[Path]:
    """Files of so many pictures with the teacher's maps, made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"pictures-{seed}-{shard:04d}.npz" for shard in range(count // SHARD)]
    missing = [shard for shard, file in enumerate(files) if not file.exists()]
    if missing:
        on = material(short=False)
        network = on.backbone().network.network  # the teacher, which takes RGB in [0, 1]
        tiles = [on.load(shot) for shot in on.shots() if shot.role in {"setup", "stream"}]
        for shard in track(missing, description="pictures"):
            images = np.stack([_drawn(seed, shard * SHARD + i, tiles) for i in range(SHARD)])
            fine, coarse = [], []
            for some in np.split(images, SHARD // 50):
                with torch.inference_mode():
                    maps = network(_batch(some))
                fine.append(maps[0].half().numpy())
                coarse.append(maps[1].half().numpy())
            draft = files[shard].with_suffix(".draft.npz")
            np.savez(draft, images=images, fine=np.concatenate(fine), coarse=np.concatenate(coarse))
            draft.rename(files[shard])
    return files


def _drawn(seed: int, number: int, tiles: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng((seed, number, 1))
    if rng.random() > TILES_SHARE:
        return picture(int(rng.integers(1 << 60)))
    tile = tiles[int(rng.integers(len(tiles)))].astype(np.float32) / 255
    if rng.random() < 0.5:
        return seen(tile, rng)
    x, y = (int(v) for v in rng.integers(0, tile.shape[0] - SIDE_PX + 1, 2))
    cut = tile[y : y + SIDE_PX, x : x + SIDE_PX] * rng.uniform(0.5, 1.6)
    return np.clip(np.rint(cut * 255), 0, 255).astype(np.uint8)


def _batch(images: npt.NDArray[np.uint8]) -> Tensor:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255  # (N, H, W, 3) -> (N, 3, H, W)
    return pixels.contiguous(memory_format=torch.channels_last)


def _convolutions(network: Tiny) -> list[nn.Sequential]:
    """Where the network holds a 3×3 convolution, each with what follows it."""
    return [m for m in network.modules() if isinstance(m, nn.Sequential) and isinstance(m[0], nn.Conv2d)]


def normed(network: Tiny) -> Tiny:
    """The network with batch normalisation behind every 3×3 convolution, to train it."""
    for block in _convolutions(network):
        block[0].bias = None
        block.insert(1, nn.BatchNorm2d(block[0].out_channels))
    return network


def folded(network: Tiny) -> Tiny:
    """The network without batch normalisation, which goes into the convolutions."""
    for block in _convolutions(network):
        block[0] = torch.nn.utils.fusion.fuse_conv_bn_eval(block[0], block[1])
        del block[1]
    return network


def rate(progress: float) -> float:
    """The learning rate after a share of all steps: warmed up for a twentieth, then a cosine (Loshchilov 2017)."""
    return RATE * min(progress / 0.05, 0.5 + 0.5 * math.cos(math.pi * progress))


def batches(files: list[Path], rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All pictures once, shards and pictures in another order every time."""
    for shard in rng.permutation(len(files)):
        with np.load(files[shard]) as arrays:
            images, fine, coarse = arrays["images"], arrays["fine"], arrays["coarse"]
        for rows in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
            yield _batch(images[rows]), torch.from_numpy(fine[rows]).float(), torch.from_numpy(coarse[rows]).float()


def weights_of(files: list[Path]) -> list[Tensor]:
    """One over each channel's variance (1, C, 1, 1), half its own and half the mean of all: rare channels count, and
    distances stay as the teacher's are."""
    with np.load(files[0]) as arrays:
        variances = [arrays[name].astype(np.float32).var(axis=(0, 2, 3)) for name in ("fine", "coarse")]
    return [torch.from_numpy(2 / (v + v.mean()))[None, :, None, None] for v in variances]


def main() -> None:
    """Pictures, epochs, weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40_000, help="how many, a multiple of 1,000")
    parser.add_argument("--epochs", type=int, default=12, help="how often each is seen")
    parser.add_argument("--seed", type=int, default=0, help="of pictures, weights and order")
    parser.add_argument("--folder", type=Path, default=Path(".tiny"), help="where work is kept until it is done")
    options = parser.parse_args()
    keep_freed_memory()
    files = shards(options.folder, options.pictures, options.seed)
    weights = weights_of(files)
    torch.manual_seed(options.seed)
    network = normed(Tiny()).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    each = len(files) * (SHARD // BATCH)
    for epoch in range(resumed(options.folder, network, optimizer), options.epochs):
        network.train()
        examples, lost = batches(files, np.random.default_rng((options.seed, epoch, 2))), []
        for step, (images, fine, coarse) in enumerate(track(examples, description=f"epoch {epoch + 1}", total=each)):
            optimizer.param_groups[0]["lr"] = rate((epoch + step / each) / options.epochs)
            with torch.autocast("cpu", torch.bfloat16):
                maps = network(images)
            pairs = zip(maps, (fine, coarse), weights, strict=True)
            loss = sum((((m.float() - t) ** 2) * w).mean() for m, t, w in pairs)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            lost.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(lost[len(lost) // 2 :]):.4f}", flush=True)
        keep(options.folder, network, optimizer, epoch + 1)
    ready = folded(network.eval())
    assert sum(OUTPUTS) == sum(m.shape[1] for m in ready(torch.zeros(1, 3, 64, 64)))  # noqa: S101  # as it is used
    save_file({name: tensor.half().contiguous() for name, tensor in ready.state_dict().items()}, OUT)
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.2f} MB, {sum(p.numel() for p in ready.parameters()):,} parameters")


def keep(folder: Path, network: Tiny, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Save what training goes on with: tensors only, no pickle."""
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    draft = folder / "state.draft"
    save_file({name: t.contiguous() for name, t in state.items()}, draft, metadata={"epoch": str(epoch)})
    draft.rename(folder / f"state-{epoch:03d}.safetensors")


def resumed(folder: Path, network: Tiny, optimizer: torch.optim.Optimizer) -> int:
    """Take up the last saved epoch, if there is one; how many are done."""
    saved = sorted(folder.glob("state-*.safetensors"))
    if not saved:
        return 0
    state = load_file(saved[-1])
    network.load_state_dict({n.removeprefix("network."): t for n, t in state.items() if n.startswith("network.")})
    whole = optimizer.state_dict()
    for name, tensor in state.items():
        if name.startswith("optimizer."):
            _, number, what = name.split(".")
            whole["state"].setdefault(int(number), {})[what] = tensor
    optimizer.load_state_dict(whole)
    return int(saved[-1].stem.removeprefix("state-"))


if __name__ == "__main__":
    main()
