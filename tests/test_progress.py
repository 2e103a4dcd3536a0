"""Whoever follows a teach is told of every long step of it, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.learning.teach import draft, images_in
from daemon.service import Service
from memory.patch_bank.coreset import select
from memory.progress import followed_by, steps


def test_a_teach_tells_every_long_step(untaught: Service, good_parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the reference is made, not remembered
    told: dict[str, int] = {}

    def track(items: Sequence[Any], what: str) -> Iterator[Any]:
        for item in items:
            told[what] = told.get(what, 0) + 1
            yield item

    draft(images_in(good_parts), untaught.engine, untaught.store, track)
    assert set(told) == {
        "images",
        "features",
        "parts under other light and lenses",
        "patches of the bank",
        "parts, each scored as if it had not been taught",
    }
    assert told["parts, each scored as if it had not been taught"] == 16


def test_a_follower_changes_nothing_and_is_gone_afterwards() -> None:
    rng, told = np.random.default_rng(0), []
    candidates = rng.random((300, 4), dtype=np.float32)
    nobody = select(np.empty((0, 4), np.float32), candidates, 100, 0)

    def follower(items: Sequence[Any], what: str) -> Iterator[Any]:
        for item in items:
            told.append(what)
            yield item

    with followed_by(follower):
        assert (select(np.empty((0, 4), np.float32), candidates, 100, 0) == nobody).all()
    assert len(told) == 99, "each choice but the first, which is drawn"
    with pytest.raises(ZeroDivisionError), followed_by(follower):
        _ = 1 / 0
    assert list(steps([1, 2], "x")) == [1, 2]
    assert len(told) == 99
