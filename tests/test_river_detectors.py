"""river's detectors behind one wrapper: the same question to each, and answers that do not depend on the machine."""

from __future__ import annotations

import numpy as np
import pytest

from drift.chart import CLIP
from drift.river_detectors import ADWIN, KINDS, RiverDetectors
from drift.signals import SIGNALS, Vector

PINNED = [327]
PARAMETERS = {"ADWIN": ADWIN, "KSWIN": {"alpha": 1e-4, "seed": 0}, "PageHinkley": {"threshold": 60.0}}


def step(by: float, start: int, frames: int) -> Vector:
    """A stream (frames, S) whose second signal moves."""
    z = np.random.default_rng(5).standard_normal((frames, len(SIGNALS)))
    z[start:, 1] += by
    return z


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_one_signal_is_seen_in_that_signal(kind: str) -> None:
    watch = RiverDetectors(kind, **PARAMETERS[kind])
    seen = [watch.update(z) for z in step(4.0, 200, 330)]
    assert not np.any(seen[:200])
    changed = np.any(seen[200:], axis=0)
    assert changed[1]
    assert changed.sum() == 1


def test_the_line_s_own_adwin_fires_at_fixed_places() -> None:
    """Pinned: another place means that river, or what we give it, has changed."""
    watch = RiverDetectors("ADWIN", **ADWIN)
    fired = [i for i, z in enumerate(step(1.0, 300, 600)) if watch.update(z).any()]
    assert fired == PINNED


def test_no_frame_weighs_more_than_the_chart_lets_it() -> None:
    one, other = (RiverDetectors("PageHinkley", threshold=20.0) for _ in range(2))
    wild = step(1e9, 200, 260)
    assert [one.update(z).tolist() for z in wild] == [other.update(np.clip(z, -CLIP, CLIP)).tolist() for z in wild]
