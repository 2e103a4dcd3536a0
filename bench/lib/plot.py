"""Draws bench/lib/pictures.py's pictures with matplotlib; run in the peers' environment.

usage: .venv-peers/bin/python -m bench.lib.plot DRAWING.json PICTURE.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

GROUPS = {"exposure": slice(0, 1), "colour": slice(1, 3), "contrast, sharpness, noise": slice(3, 6)}
GROUPS |= {"shift, rotation": slice(6, 9), "material": slice(9, 14)}
TRUSTS = {"stable": "#cfe3d6", "compensating": "#f3d9a8", "drifting": "#e08a1e", "untrusted": "#c8372d"}
COLOURS = ["#e08a1e", "#c8372d", "#2d5f9a", "#7b4fa3", "#2a8c5a"]


def main() -> None:
    """Signals above, the light that is compensated in the middle, what was believed and called below."""
    drawing = json.loads(Path(sys.argv[1]).read_text())
    z, count = np.array(drawing["z"]), len(drawing["z"])
    figure, (signals, light, called) = plt.subplots(
        3, 1, figsize=(11, 7), sharex=True, height_ratios=(5, 2, 2.2), layout="constrained"
    )
    for (name, group), colour in zip(GROUPS.items(), COLOURS, strict=True):
        farthest = z[:, group][np.arange(count), np.abs(z[:, group]).argmax(axis=1)]
        signals.plot(np.clip(farthest, -15, 15), ".", color=colour, markersize=3, alpha=0.6, label=name)
    for start, name in drawing["marks"]:
        signals.axvline(start, color="0.6", linewidth=0.8)
        signals.text(start + 2, 15.6, name, fontsize=8, color="0.3")
    signals.set(ylabel="spreads from the taught parts", ylim=(-16, 17), title=drawing["title"])
    signals.legend(fontsize=8, loc="lower left", ncols=5)
    light.plot(100 * np.array(drawing["light"]), color="#e08a1e")
    light.set_ylabel("light compensated, %")
    causes = sorted({card["cause"] for cards in drawing["cards"] for card in cards})
    for trust, colour in TRUSTS.items():
        frames = [i for i, t in enumerate(drawing["trust"]) if t == trust]
        called.plot(frames, [-1] * len(frames), "s", color=colour, markersize=5, label=trust)
    for row, cause in enumerate(causes):
        frames = [i for i, cards in enumerate(drawing["cards"]) if any(card["cause"] == cause for card in cards)]
        called.plot(frames, [row] * len(frames), "|", color="0.25", markersize=9)
        first = frames[0]
        amounts = [card["amount"] for i in frames[:40] for card in drawing["cards"][i] if card["cause"] == cause]
        called.text(first, row + 0.32, amounts[-1], fontsize=8, color="0.25")
    called.set_yticks([-1, *range(len(causes))], ["scene", *causes])
    called.set(ylim=(-2.6, len(causes) + 0.2), xlabel="frames")
    called.legend(fontsize=8, loc="lower right", ncols=4)
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
