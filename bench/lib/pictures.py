"""Two pictures of drift: signals over time, with alarms and what they were called."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.lib.environments import alibi_detect, run
from bench.lib.material import Material
from bench.lib.scenes import Setting
from drift.light import compensate
from drift.monitor import DriftState, MeasuredFrame, Monitor
from drift.reference import fit_reference, measure
from drift.signals import Vector
from memory.extract import Extractor
from policies.notices import notices

DAY = [("light", "+20%"), ("blur", "1.0 px"), ("shift", "5 px"), ("material", "wear 0.5")]
LASTING, BETWEEN, EACH = 150, 250, 60


def rendered_day(setting: Setting, path: Path, rng: np.random.Generator) -> None:
    """A rendered line on which one thing after another changes, and changes back."""
    monitor, z, states, marks = Monitor(setting.reference), [], [], []
    for cause, size in DAY:
        change = next(c for c in setting.changes if (c.cause, c.size) == (cause, size))
        for stream in (setting.stream(change, BETWEEN, LASTING, rng), setting.stream(change, 1, 0, rng)):
            for number in range(len(stream.parts)):
                signals = stream.frame(number, monitor)
                states.append(monitor.update(MeasuredFrame(signals, len(states), len(states), flagged=False)))
                z.append(setting.reference.z(signals.values))
        marks.append((len(states) - LASTING - 1, f"{cause} {size}"))
    for number in range(BETWEEN):
        signals = setting.stream(change, 1, 0, rng).frame(0, monitor)
        states.append(monitor.update(MeasuredFrame(signals, len(states) + number, len(states) + number, flagged=False)))
        z.append(setting.reference.z(signals.values))
    _draw("A rendered line: one thing after another", np.stack(z), states, marks, path)


def real_exposures(on: Material, backbone: Extractor, path: Path, rng: np.random.Generator) -> None:
    """Real tiles, good ones of the probes, whose lamp goes through the six exposures and back to the first."""
    rows = on.shots()

    setup = [on.load(s) for s in rows if s.role == "setup"]
    reference = fit_reference(setup, [backbone(image) for image in setup], backbone, 0)
    monitor, z, states, marks = Monitor(reference), [], [], []
    for number in (1, 2, 3, 4, 5, 6, 1):
        marks.append((len(states), f"exposure {number}"))
        good = [s for s in rows if s.role != "setup" and not s.defective and s.exposure == number]
        for i in rng.integers(0, len(good), EACH):
            raw = on.load(good[i])
            image = compensate(raw, monitor.gain)
            signals = measure(raw, image, backbone(image), reference)
            states.append(monitor.update(MeasuredFrame(signals, len(states), len(states), flagged=False)))
            z.append(reference.z(signals.values))
    _draw("Real tiles under six real exposures, and back", np.stack(z), states, marks, path)


def _draw(title: str, z: Vector, states: list[DriftState], marks: list[tuple[int, str]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cards = [[asdict(card) for card in notices(state)] for state in states]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawing.json"
        trust = [state.trust for state in states]
        light = [float(np.expm1(state.log_ratio)) for state in states]
        drawing = {"title": title, "z": z.tolist(), "cards": cards, "trust": trust, "light": light, "marks": marks}
        file.write_text(json.dumps(drawing))
        if not run(alibi_detect(), "bench.lib.plot", file, path.resolve()):
            raise SystemExit(f"{path} was not drawn: see above")
