"""The store: numbered, immutable, checksummed; a damaged file costs that version and nothing else."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from versions import arrays_of, commit, contents, features

from drift.reference import Reference
from drift.regimes import regimes_of
from memory.defects import ConfirmedDefects, Defect
from memory.errors import StaleParent, StoreError
from memory.features import Features, View
from memory.store import REST_S, Store
from memory.version import Snapshot, Version, decode
from policies.threshold import Threshold

GOLDEN = Path(__file__).parent / "golden"


def same(one: Snapshot, other: Snapshot) -> bool:
    """Bit for bit."""
    return (
        arrays_of(one) == arrays_of(other)
        and one.detector.samples == other.detector.samples
        and one.calibration_set.samples == other.calibration_set.samples
        and all(
            np.array_equal(a.patches, b.patches) and a.grid == b.grid
            for a, b in zip(one.calibration_set.features, other.calibration_set.features, strict=True)
        )
        and one.confirmed_defects.samples == other.confirmed_defects.samples
        and all(
            np.array_equal(a.patches, b.patches)
            for a, b in zip(one.confirmed_defects.defects, other.confirmed_defects.defects, strict=True)
        )
        and all(np.array_equal(one.reference[k], other.reference[k]) for k in one.reference)
        and one.calibration_set.regimes == other.calibration_set.regimes
        and one.regimes.keys() == other.regimes.keys()
        and all(np.array_equal(one.regimes[k], other.regimes[k]) for k in one.regimes)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(seed=st.integers(0, 10_000), patches=st.integers(1, 40), defects=st.integers(0, 3))
def test_what_is_committed_is_loaded_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, patches: int, defects: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    snapshot = contents(seed, patches)
    rng = np.random.default_rng(seed)
    for i in range(defects):
        seen = features(rng.integers(-9, 9, (4, 4)), (2, 2))
        snapshot = Snapshot(
            snapshot.detector,
            snapshot.confirmed_defects.remember(Defect(f"ß{i}", seen, np.eye(2, dtype=bool)), 99),
            replace(snapshot.calibration_set, regimes=(0, i)),
            snapshot.reference,
            regimes={f"signals.{i}": rng.standard_normal((3, 14)), f"last.{i}": np.array([float(i)])},
        )
    version = commit(store, snapshot)
    assert same(store.load(version).snapshot, snapshot)
    assert Store(store._blobs.parent).head() == version


def test_versions_form_a_chain(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = commit(store, contents(1))
    second = commit(store, contents(2), first, cause="admission", added=("x",), feedback_through=7)
    assert (first.number, second.number, second.parent) == (1, 2, 1)
    assert second.parent_sha256 == first.sha256
    assert store.history() == [first, second]
    assert store.head() == second


def test_equal_contents_share_their_blobs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = commit(store, contents(1))
    before = len(list((tmp_path / "blobs").iterdir()))
    assert commit(store, contents(1), first).blobs == first.blobs
    assert len(list((tmp_path / "blobs").iterdir())) == before


def test_a_stale_parent_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = commit(store, contents(1))
    commit(store, contents(2), first)
    for stale in (None, first):
        with pytest.raises(StaleParent, match="propose again"):
            commit(store, contents(3), stale)
    assert len(store.history()) == 2


def test_of_many_writers_one_wins_each_number(tmp_path: Path) -> None:
    first = commit(Store(tmp_path), contents(0))
    outcomes: list[str] = []

    def write(seed: int) -> None:
        try:
            commit(Store(tmp_path), contents(seed), first)
            outcomes.append("won")
        except StaleParent:
            outcomes.append("stale")

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(1, 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == ["stale"] * 7 + ["won"]
    assert [v.number for v in Store(tmp_path).history()] == [1, 2]


@pytest.mark.parametrize("damage", ["truncate", "alter", "empty", "garbage", "renamed"])
def test_a_damaged_manifest_is_passed_over_and_told(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    first = commit(store, contents(1))
    second = commit(store, contents(2), first)
    path = tmp_path / "versions" / "000002.json"
    text = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(text[: len(text) // 2])
    elif damage == "alter":
        path.write_bytes(text.replace(b'"who": "pytest"', b'"who": "mallory"'))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "garbage":
        path.write_bytes(b"\xff\xfe[1,2]")
    else:
        path.write_bytes((tmp_path / "versions" / "000001.json").read_bytes())
    assert store.head() == first
    assert len(store.damaged()) == 1
    third = commit(store, contents(3), first)
    assert (third.number, third.parent) == (3, 1)
    assert second.number == 2


@pytest.mark.parametrize("damage", ["missing", "altered", "truncated"])
@pytest.mark.parametrize("part", ["bank", "replay", "held_out", "reference"])
def test_a_damaged_blob_costs_its_version_only(tmp_path: Path, part: str, damage: str) -> None:
    store = Store(tmp_path)
    first = commit(store, contents(1))
    snapshot = contents(2)
    seen = features([[1, 2, 3, 4]])
    snapshot = Snapshot(
        snapshot.detector,
        ConfirmedDefects().remember(Defect("d", seen, np.ones((1, 1), bool)), 9),
        snapshot.calibration_set,
        {**snapshot.reference, "mean": np.ones(9)},
    )
    second = commit(store, snapshot, first)
    blob = tmp_path / "blobs" / second.blobs[part]
    if damage == "missing":
        blob.unlink()
    elif damage == "altered":
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data)
    else:
        blob.write_bytes(blob.read_bytes()[:-3])
    assert store.head() == first
    assert "version 2" in store.damaged()[0]
    with pytest.raises(StoreError, match=f"intact {part}"):
        store.load(second)
    again = commit(store, snapshot, first)
    assert store.head() == again, "committing the same again mends the blob"


def test_retention_keeps_every_manifest_and_the_newest_contents(tmp_path: Path) -> None:
    store, version = Store(tmp_path), None
    for seed in range(6):
        version = commit(store, contents(seed), version)
    assert store.prune(2, time.time()) == [], "what was just written may belong to a commit in flight"
    assert store.prune(2, time.time() + 2 * REST_S) == [1, 2, 3, 4]
    assert len(store.history()) == 6
    assert store.head() == version
    assert store.damaged() == [], "what retention removed is not damage"
    with pytest.raises(StoreError, match="retention"):
        store.load(store.version(1))
    store.load(store.version(5))


def test_an_empty_store_has_no_head_and_no_such_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.head() is None
    assert store.history() == []
    with pytest.raises(StoreError, match="number 3"):
        store.version(3)


def test_a_manifest_of_unknown_shape_is_refused() -> None:
    for text in (b"[]", b"{}", b'{"sha256": 1}', b'{"sha256": "x", "number": 1}', b"null"):
        with pytest.raises(StoreError, match="intact version manifest"):
            decode(text, "000001.json")


def test_golden_stores_of_every_format_still_load() -> None:
    """Committed by `python tests/golden/make.py`; a new format gets a new folder, an old one is never rewritten."""
    stores = sorted(p for p in GOLDEN.iterdir() if p.is_dir() and not p.name.startswith("_"))
    assert stores
    for folder in stores:
        store = Store(folder)
        assert store.damaged() == []
        head = store.head()
        assert isinstance(head, Version)
        expected = json.loads((folder / "expected.json").read_text())
        loaded = store.load(head)
        asked = features(expected["asked"])
        score = loaded.snapshot.detector.score(View(asked))
        assert score.map.reshape(-1).tolist() == expected["map"]
        assert loaded.snapshot.confirmed_defects.samples == tuple(expected["defects"])
        assert head.sha256 == expected["sha256"]
        reference = Reference.of(loaded.snapshot.reference)
        assert reference.blind == expected.get("blind", True), "before format 4 no causes were known"
        assert sorted(reference.marks) == expected.get("causes", [])
        regimes = regimes_of(loaded.snapshot.regimes, reference, 0)
        assert [regime.name for regime in regimes] == expected.get("regimes", [0])
        assert loaded.snapshot.calibration_set.regimes == tuple(expected.get("regimes", [0, 0]))
        threshold = Threshold.of(head.threshold)
        assert threshold.for_regime(99).value == expected.get("own_threshold", threshold.value)


def test_what_a_region_of_interest_shows_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    snapshot = contents(1)
    region = Features(np.ones((2, 4), dtype=np.float32), (2, 2), np.array([1, 3]))
    calibration_set = replace(snapshot.calibration_set, features=(region, region))
    store = Store(tmp_path)
    version = commit(store, replace(snapshot, calibration_set=calibration_set))
    for loaded in store.load(version).snapshot.calibration_set.features:
        assert (loaded.grid, loaded.cells.tolist(), loaded.patches.tolist()) == ((2, 2), [1, 3], [[1] * 4] * 2)
