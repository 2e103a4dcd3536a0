"""Whether a model that another tool has exported scores here as it does there.

usage: python -m bench.exported [--short]

anomalib's PaDiM and PatchCore are fitted to the zoo's cookies, exported as ONNX and for OpenVINO, and read by
`memory.exported`; a short run exports a small network of torch instead. Markdown on stdout.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.lib import arguments, environments
from bench.lib.exported_files import row
from bench.lib.material import SHARED
from memory.backends import library

SIDE_PX = 64


class Brightness(torch.nn.Module):
    """A network whose anomaly map is a blurred image: it stands for any."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = torch.nn.AvgPool2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The map (N, 1, h, w) of images (N, 3, H, W)."""
        return self.pool(images.mean(dim=1, keepdim=True)) + 1


def small(folder: Path) -> list[str]:
    """Rows of the small network in both formats."""
    images = np.random.default_rng(0).integers(0, 256, (4, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    network, file = Brightness().eval(), folder / "model.onnx"
    with torch.no_grad():
        batches = [torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255 for each in images]
        own = np.array([float(network(batch).max()) for batch in batches])
    program = torch.onnx.export(network, (batches[0],), verbose=False)
    assert program is not None  # noqa: S101  # only writing to a file returns none
    program.save(file)
    openvino = library("openvino")
    openvino.save_model(openvino.convert_model(file), file.with_suffix(".xml"), compress_to_fp16=False)
    return [row("a small network", each, images, own) for each in (file, file.with_suffix(".xml"))]


def main() -> None:
    """Print the table; anomalib's rows come from its own environment."""
    options = arguments.parse(arguments.parser(__doc__))
    print("| model | file | images | scores apart, at most, of the score | an image, ms |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    if not options.short:
        if not environments.run(environments.anomalib(), "bench.lib.exported_anomalib", SHARED):
            raise SystemExit("anomalib failed: see above")
        return
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(small(Path(folder))))


if __name__ == "__main__":
    main()
