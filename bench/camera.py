"""Whether Driftline sees what the camera sees: bit depth, thin lines, small defects in large images, a region.

usage: python -m bench.camera [--parts 60] [--judged 60] [--short]

Everything is rendered but KSDD, which is read where the shared data is. `driftline teach` is timed as a command, with
the largest memory it held; a frame from its bytes to its score, beside one of 256 px a side: tiles of that side overlap
by 64 px, or not at all. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench.lib import arguments, depths
from bench.lib.large_parts import Flaw, part
from bench.lib.material import SHARED
from bench.lib.processes import DRIFTLINE, ended, start
from bench.lib.taught_lines import untracked
from daemon import build
from daemon.datasets import rendered
from daemon.evaluation.metrics import auroc
from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.intake.decode import resized
from daemon.learning.teach import images_in, teach
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from daemon.settings.logs import log_to
from drift.monitor import CALM
from memory.extract import Extractor
from memory.features import Image
from memory.geometry import geometry_of
from memory.region import Region
from memory.tiles import OVERLAP_PX
from policies.verdict import decide

FLAW_PX = 6
LINES, SMALL = ((630, 230), (100, 2000)), (63, 23)  # (height, width)
BOX = Region((((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)),))
RATE = 0.02


@dataclass(frozen=True)
class Bench:
    """The backbone of all lines, a folder for them, and how many patches they keep."""

    backbone: Extractor
    folder: Path
    patches: int

    def line(self, name: str, goods: Sequence[bytes], region: Region | None = None, **settings: object) -> Engine:
        """An engine taught from these files' contents."""
        files = self.write(f"{name}-goods", goods)
        memory = {"memory": {"bank_patches": self.patches}}
        line = Settings.model_validate(
            {"state_dir": self.folder / name, "extractor": {"device": "cpu", "backend": "torch"}} | memory | settings
        )
        opened = open_state(line.state_dir)
        engine = build.engine(line, opened, self.backbone)
        teach(images_in(files), engine, opened.store, "bench", untracked, region)
        engine.activate(opened.store.current())
        return engine

    def write(self, name: str, files: Sequence[bytes]) -> Path:
        """A folder of files with these contents."""
        folder = self.folder / name
        folder.mkdir()
        for number, data in enumerate(files):
            (folder / f"{number:04d}.png").write_bytes(data)
        return folder


def scored(engine: Engine, data: bytes) -> tuple[str, float, np.ndarray]:
    """The verdict, the score over the threshold, and the anomaly map over the threshold."""
    active = judging(engine)
    found = engine.score_image(engine.decode(data), active).score
    threshold = active.threshold.value
    return decide(found.value, active.threshold, CALM).verdict, found.value / threshold, found.map / threshold


def judging(engine: Engine) -> Active:
    """What judges."""
    if engine.active is None:
        raise SystemExit("nothing is taught")
    return engine.active


def png(image: Image) -> bytes:
    """A lossless file of an image (H, W, 3) u8."""
    return cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def bit_depths(on: Bench, parts: int) -> Iterator[str]:
    """Every depth is taught from PNGs that do not state it; its other files are judged by the same version, and
    a camera's raw buffer, which the service makes a true 16-bit image of, by that of 16 bits."""
    flawed = [(1000 + n, rendered.Flaw.BURR if n % 2 else None) for n in range(parts)]
    engines = {}
    for bits in depths.DEPTHS:
        goods = [depths.png(depths.levels(rendered.part(n), bits), bits) for n in range(parts)]
        engines[bits] = on.line(f"depth-{bits}", goods, source={"bits": None if bits == 12 else bits})
    equal, total, apart = 0, 0, 0.0
    for seed, flaw in flawed:
        image = rendered.part(seed, flaw=flaw)
        plain = scored(engines[8], depths.png(depths.levels(image, 8), 8))
        for bits in depths.DEPTHS:
            grey = depths.levels(image, bits)
            files = [(engines[bits], data) for data in (depths.png(grey, bits), *depths.stated(grey, bits))]
            files.append((engines[8 if bits == 8 else 16], depths.raw(grey, bits)))
            for engine, data in files:
                seen = scored(engine, data)
                equal += seen[0] == plain[0]
                total += 1
                apart = max(apart, float(np.abs(seen[2] - plain[2]).max()))
    yield f"| one scene in 8, 10, 12, 14, 16 bits, PNG, TIFF, PGM, raw: verdicts equal | {equal} of {total} |"
    yield f"| its anomaly maps: the largest difference, of the threshold | {apart:.3f} |"


def thin_lines(backbone: Extractor, sizes_px: Sequence[tuple[int, int]]) -> Iterator[str]:
    """A line of one pixel at every place, brought onto the canvas: whether the image there differs at all."""
    for height, width in sizes_px:
        canvas = geometry_of([(height, width)] * 2, backbone.shapes, Region(), None).canvas_px
        plain = np.full((height, width, 3), 100, dtype=np.uint8)
        seen = total = 0
        for axis, side in enumerate((height, width)):
            for place in range(side):
                drawn = plain.copy()
                drawn[(slice(None),) * axis + (place,)] = 160
                seen += int(np.abs(resized(drawn, canvas[1], canvas[0]).astype(int) - 100).max() > 0)
                total += 1
        yield f"| a scratch of 1 px, {width}×{height}: visible on the canvas | {seen / total:.1%} of {total} places |"


def small_defects(on: Bench, options: argparse.Namespace, size_px: tuple[int, int]) -> Iterator[str]:
    """Large parts taught by the command at full scale, and judged."""
    goods = on.write("large-goods", [png(part(n, size_px=size_px)) for n in range(options.parts)])
    state, log = on.folder / "large", on.folder / "teach.log"
    started = time.perf_counter()
    command = [
        *DRIFTLINE,
        "teach",
        goods,
        "--set",
        f"state_dir={state}",
        "--set",
        "extractor.backend=torch",
        "--set",
        f"scene.smallest_defect_px={FLAW_PX}",
        "--set",
        f"memory.bank_patches={on.patches}",
    ]
    ended(start(command, log), "driftline teach", log)
    took_s = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    opened = open_state(state)
    fine = build.reference_engine(Settings.model_validate({"state_dir": state}), opened, on.backbone)
    fine.activate(opened.store.current())
    kinds = list(Flaw)
    good = [png(part(10_000 + n, size_px=size_px)) for n in range(options.judged)]
    bad = [png(part(20_000 + n, kinds[n % len(kinds)], FLAW_PX, size_px)) for n in range(options.judged)]
    shares = [scored(fine, data)[1] for data in good], [scored(fine, data)[1] for data in bad]
    by_kind = ", ".join(
        f"{kind} {np.mean(np.array(shares[1][i :: len(kinds)]) > 1):.0%}" for i, kind in enumerate(kinds)
    )
    small = on.line("squeezed", [png(rendered.part(n)) for n in range(20)])
    ms = timed(fine, good), timed(small, [png(rendered.part(10_000 + n)) for n in range(20)])
    tiles = int(np.prod([np.ceil((side - OVERLAP_PX) / (256 - OVERLAP_PX)) for side in size_px]))
    bare = int(np.prod([np.ceil(side / 256) for side in size_px]))
    named = f"{size_px[1]}×{size_px[0]} parts"
    yield f"| {named}, defects of {FLAW_PX} px: recall ({by_kind}) | {np.mean(np.array(shares[1]) > 1):.1%} |"
    yield f"| their false rejects, {RATE:.0%} asked for | {np.mean(np.array(shares[0]) > 1):.1%} |"
    yield f"| a frame at full scale, ms (a frame of 256×256 px: {ms[1]:.1f}) | {ms[0]:.0f} |"
    yield f"| the same, over {tiles} overlapping tiles of 256 px, a small frame each | {ms[0] / (tiles * ms[1]):.2f} |"
    yield f"| the same, over {bare} tiles that do not overlap | {ms[0] / (bare * ms[1]):.2f} |"
    yield f"| teach {options.parts} such parts, s | {took_s:.0f} |"
    yield f"| memory held meanwhile, GB | {peak_gb:.2f} |"


def timed(engine: Engine, files: Sequence[bytes]) -> float:
    """The median time of a frame (ms), from its bytes to its score."""
    active, took_ms = judging(engine), []
    for data in files[:20]:
        started = time.perf_counter()
        engine.score_image(engine.decode(data), active)
        took_ms.append((time.perf_counter() - started) * 1000)
    return statistics.median(took_ms)


def background(on: Bench, parts: int, judged: int) -> Iterator[str]:
    """Parts before a background that moves, in a region: how many verdicts and scores it changes."""
    engine = on.line("region", [png(rendered.part(n)) for n in range(parts)], BOX)
    changed = scores = 0
    for number in range(judged):
        image = rendered.part(5_000 + number, flaw=rendered.Flaw.BURR if number % 2 else None)
        before = scored(engine, png(image))
        inside = BOX.inside(*image.shape[:2])
        noise = np.random.default_rng(number).integers(0, 256, image.shape, dtype=np.uint8)
        after = scored(engine, png(np.where(inside[:, :, None], image, noise)))
        changed += before[0] != after[0]
        scores += before[1] != after[1]
    yield f"| a moving background outside the region: verdicts that change | {changed} of {judged} |"
    yield f"| scores that change | {scores} of {judged} |"


def tall_parts(on: Bench) -> Iterator[str]:
    """KSDD, 500×1250, in its own aspect and squeezed."""
    root = SHARED / "data" / "zoo" / "ksdd"
    if not root.exists():
        return
    order = np.random.default_rng(0)
    taught = sorted((root / "train" / "good").iterdir())
    taught = [taught[i] for i in sorted(order.permutation(len(taught))[:60])]
    engine = on.line("ksdd", [path.read_bytes() for path in taught])
    looked = [path for path in sorted((root / "test").rglob("*")) if path.is_file()]
    shares = [scored(engine, path.read_bytes())[1] for path in looked]
    found = auroc(shares, [path.parent.name != "good" for path in looked])
    yield f"| KSDD, 500×1250, tiny, {len(taught)} taught, {len(looked)} judged: AUROC | {found:.3f} |"


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--parts", type=int, default=60, help="large parts that are taught")
    parser.add_argument("--judged", type=int, default=60, help="good and defective large parts that are judged")
    parser.add_argument("--shown", type=int, default=200, help="parts shown before another background")
    options = arguments.parse(parser, parts=3, judged=3, shown=2)
    log_to("console", level=40)
    few, size_px, lines, patches = 20, (2048, 2448), LINES, 10_000
    if options.short:
        few, size_px, lines, patches = 2, (272, 320), (SMALL,), 500
    with tempfile.TemporaryDirectory() as folder:
        on = Bench(build.extractor(Settings()), Path(folder), patches)
        print("| | |\n| --- | --- |")
        rows = [bit_depths(on, few), thin_lines(on.backbone, lines), small_defects(on, options, size_px)]
        tall = () if options.short else tall_parts(on)
        for row in (*rows, tall, background(on, few, options.shown)):
            for line in row:
                print(line, flush=True)
    print(f"\n{json.dumps({'parts': options.parts, 'judged': options.judged})}")


if __name__ == "__main__":
    main()
