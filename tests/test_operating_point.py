"""The false-reject rate in force: config.yaml's, until an engineer says another, until config.yaml does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NOW_MS
from versions import commit, contents

from daemon.learning import operating_point
from daemon.ledger.ledger import Ledger
from daemon.ledger.provenance import taught_alike
from memory.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A taught store."""
    taught = Store(tmp_path / "store")
    commit(taught, contents(), cause="teach")
    return taught


def change(store: Store, tmp_path: Path, wanted: float, configured: float = 0.1) -> float:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    version = operating_point.change(store.current(), store, ledger, wanted, configured, "eva", NOW_MS)
    return float(version.threshold["rate"])


def test_the_configured_rate_is_in_force_until_another_is_said(store: Store, tmp_path: Path) -> None:
    assert operating_point.in_force(Store(tmp_path / "empty"), 0.1) == 0.1
    assert operating_point.in_force(store, 0.1) == 0.1
    assert change(store, tmp_path, 0.3) == 0.3
    assert operating_point.in_force(store, 0.1) == 0.3
    commit(store, contents(1), store.head(), cause="admission")
    assert operating_point.in_force(store, 0.1) == 0.3, "lessons follow it"
    assert operating_point.in_force(store, 0.05) == 0.05, "another number in config.yaml is a newer word"
    commit(store, contents(2), store.head(), cause="teach")
    assert operating_point.in_force(store, 0.1) == 0.1


def test_a_rollback_brings_back_the_rate_of_what_it_restores(store: Store, tmp_path: Path) -> None:
    change(store, tmp_path, 0.3)
    commit(store, contents(), store.head(), cause="rollback", restores=1)
    assert operating_point.in_force(store, 0.1) == 0.1
    commit(store, contents(), store.head(), cause="rollback", restores=2)
    assert operating_point.in_force(store, 0.1) == 0.3


def test_scores_compare_since_the_last_teach_or_training(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.current().version
    made = [
        first,
        replace(first, number=2, parent=1, cause="lesson"),
        replace(first, number=3, parent=2, cause="retraining"),
        replace(first, number=4, parent=3, cause="lesson"),
        replace(first, number=5, parent=4, cause="rollback", restores=2),
        replace(first, number=6, parent=5, cause="threshold"),
        replace(first, number=7, parent=6, cause="teach"),
        replace(first, number=8, parent=7, cause="rollback", restores=4),
    ]
    monkeypatch.setattr(Store, "history", lambda _: made)
    alike = [taught_alike(store, each) for each in made]
    assert alike == [{1, 2, 5, 6}] * 2 + [{3, 4, 8}] * 2 + [{1, 2, 5, 6}] * 2 + [{7}, {3, 4, 8}]
