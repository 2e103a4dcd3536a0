"""Kept frames: on disk by a name that leads nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ledger.kept import KeptFrames


@given(frame_id=st.text(min_size=1, max_size=80))
def test_no_frame_id_leads_outside_the_folder(tmp_path_factory: pytest.TempPathFactory, frame_id: str) -> None:
    root = tmp_path_factory.mktemp("kept")
    kept = KeptFrames(root)
    anomaly = np.arange(4, dtype=np.float32).reshape(2, 2)
    name = kept.keep(frame_id, b"bytes", anomaly, durable=False)
    assert kept.image(name) == b"bytes"
    assert np.array_equal(kept.anomaly(name), anomaly)  # type: ignore[arg-type]  # it was just kept
    assert all(p.resolve().is_relative_to(root) for p in root.rglob("*"))
    kept.drop(name)
    kept.drop(name)
    assert kept.image(name) is None
    assert kept.anomaly(name) is None
