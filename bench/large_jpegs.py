"""What it costs to decode a large JPEG no larger than it is judged: the time, and what is found.

usage: python -m bench.large_jpegs [SET ...] [--longest-px 3072] [--taught 40] [--judged 30] [--set key=value] [--short]

The sets of bench/zoo.py, enlarged to about so many pixels along their longer side, as a camera's JPEGs; each is taught
and judged as JPEGs, which are decoded smaller, and once more as PNGs of the very same pixels, which are not. Sets whose
canvas is too large for that are left out. Markdown on stdout.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from bench.lib import arguments
from bench.lib.cases import Case, cases
from bench.lib.jpegs import jpeg
from bench.zoo import beside, figures, judged
from daemon import build
from daemon.intake.decode import LEAST_PX, read
from daemon.intake.onto_canvas import onto_canvas
from daemon.settings.load import load
from daemon.settings.logs import log_to
from daemon.settings.models import SourceSettings
from memory.geometry import Geometry, geometry_of
from memory.region import Region

TIMED = 5
COLUMNS = (
    "set | px | canvas | smaller, ms | whole, ms | apart, mean, most | AUROC | recall at 2 %, % | false rejects, %"
)


def main() -> None:
    """Set by set."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", help="names of sets; all by default")
    parser.add_argument("--longest-px", type=int, default=3_072)
    parser.add_argument("--taught", type=int, default=40, help="parts to teach at most")
    parser.add_argument("--judged", type=int, default=30, help="good and as many bad parts to judge at most")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as of driftline's commands")
    options = arguments.parse(parser, taught=4, judged=2, longest_px=1_104, set=["memory.bank_patches=500"])
    log_to("console", level=logging.WARNING)
    settings = load(None, [*options.set, "extractor.device=cpu"])
    backbone = build.extractor(settings)
    print(f"| {COLUMNS} |\n|{' --- |' * (COLUMNS.count('|') + 1)}", flush=True)
    areas = []
    with tempfile.TemporaryDirectory(prefix="driftline-large-") as name:
        folder = Path(name)
        for case in cases(folder, options.sets, short=options.short):
            few = fewer(case, options.taught, options.judged)
            as_jpeg, as_png = enlarged(few, options.longest_px, folder / f"{case.name}-large")
            files = [path.read_bytes() for path in as_jpeg.taught[:TIMED]]
            sizes = [read(path.read_bytes(), settings.source.max_pixels, LEAST_PX).size_px for path in as_jpeg.taught]
            scene = settings.scene
            geometry = geometry_of(sizes, backbone.shapes, Region(), None, scene.scale, scene.smallest_defect_px)
            if geometry.shrink == 1:
                continue
            rows = [figures(judged(each, options.taught, options.set, backbone, folder)) for each in (as_jpeg, as_png)]
            areas.append([row["auroc"] for row in rows])
            print(f"| {case.name} | {timed(files, geometry, settings.source)} | {beside(rows)} |", flush=True)
    smaller, whole = np.mean(areas or [(np.nan, np.nan)], axis=0)
    print(f"| mean | | | | | | {smaller:.3f}, {whole:.3f} | | |")


def fewer(case: Case, taught: int, most: int) -> Case:
    """The set with so many parts to teach, and good and bad ones to judge, at most."""
    good, bad = ([each for each in case.shown if each.bad is kind][:most] for kind in (False, True))
    return replace(case, taught=case.taught[:taught], shown=(*good, *bad))


def enlarged(case: Case, longest_px: int, folder: Path) -> tuple[Case, Case]:
    """The set as large JPEGs, and as PNGs of the same pixels."""

    def files(path: Path) -> tuple[Path, Path]:
        image = cv2.imread(str(path))
        height, width = (round(longest_px / max(image.shape[:2]) * side / 8) * 8 for side in image.shape[:2])
        seen = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
        name = f"{path.parent.name}-{path.stem}"
        large, png = folder / "jpeg" / f"{name}.jpg", folder / "png" / f"{name}.png"
        for file in (large, png):
            file.parent.mkdir(parents=True, exist_ok=True)
        large.write_bytes(jpeg(seen))
        pixels = read(large.read_bytes(), seen.size).pixels
        cv2.imwrite(str(png), pixels[:, :, ::-1] if pixels.ndim == 3 else pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        return large, png

    taught, shown = [files(path) for path in case.taught], [files(each.path) for each in case.shown]
    as_jpeg, as_png = (
        Case(
            f"{case.name}-{kind}",
            tuple(each[at] for each in taught),
            tuple(replace(one, path=each[at]) for one, each in zip(case.shown, shown, strict=True)),
        )
        for at, kind in enumerate(("jpeg", "png"))
    )
    return as_jpeg, as_png


def timed(files: list[bytes], geometry: Geometry, source: SourceSettings) -> str:
    """Sizes, medians of times onto the canvas in turns, and how far the pixels of both are apart."""
    ways = [geometry, replace(geometry, shrink=1)]
    took: list[list[float]] = [[], []]
    apart = []
    for data in files:
        seen = []
        for way, times in zip(ways, took, strict=True):
            started = time.perf_counter()
            seen.append(onto_canvas(data, way, source).astype(int))
            times.append(1000 * (time.perf_counter() - started))
        apart.append(np.abs(seen[0] - seen[1]))
    assert geometry.image_px is not None  # noqa: S101  # JPEGs of a known size are decoded smaller
    px, canvas = ("×".join(map(str, size[::-1])) for size in (geometry.image_px, geometry.canvas_px))
    smaller, whole = (f"{statistics.median(times):.1f}" for times in took)
    mean, most = np.mean([each.mean() for each in apart]), max(each.max() for each in apart)
    return f"{px} | {canvas} | {smaller} | {whole} | {mean:.2f}, {most}"


if __name__ == "__main__":
    main()
