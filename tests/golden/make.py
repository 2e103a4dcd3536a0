"""Write the golden store of the present format: run once when the format changes, into a new folder."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pictures import material_of
from versions import commit, contents, features, good_of

from daemon.datasets.rendered import part
from drift.reference import Reference, fit_reference
from drift.regimes import Sighting, extended
from drift.signals import SIGNALS
from memory.defects import ConfirmedDefects, Defect
from memory.features import View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.defect_memory import DefectMemory
from memory.patch_bank.neighbours import NeighbourCache
from memory.store import Store
from memory.version import Snapshot
from policies.threshold import calibrate

if __name__ == "__main__":
    folder = Path(__file__).parent / sys.argv[1]
    store = Store(folder)
    first = commit(store, contents(1))
    snapshot = contents(2)
    defect = Defect("frame-7", features(np.full((4, 4), 40), (2, 2)), np.eye(2, dtype=bool))
    good = good_of(snapshot)
    good = replace(good, landmarks=good.vectors[:3], scale_range=(2.0, 5.0), scale_exponent=0.5)
    bank = PatchBank(NeighbourCache(good), DefectMemory(good.vectors[:2] + 1, 0.1, 2.0))
    parts = [part(i) for i in range(3)]
    reference = fit_reference(parts, [material_of(p) for p in parts], material_of, seed=0).arrays()
    night = extended({}, [Sighting(99, i, np.full(len(SIGNALS), i / 7), fault=False) for i in range(9)])
    held_out = replace(snapshot.calibration_set, regimes=(0, 99))
    snapshot = Snapshot(bank, ConfirmedDefects().remember(defect, 9), held_out, reference, regimes=night)
    threshold = replace(calibrate([0.5, 1.0], 0.1), per_regime={99: calibrate([0.25], 0.1)})
    head = commit(
        store, snapshot, first, cause="admission", added=("frame-9",), feedback_through=3, threshold=threshold.to_json()
    )
    asked = np.arange(12).reshape(3, 4)
    expected = {
        "asked": asked.tolist(),
        "map": snapshot.detector.score(View(features(asked))).map.reshape(-1).tolist(),
        "defects": ["frame-7"],
        "sha256": head.sha256,
        "blind": False,
        "causes": sorted(Reference.of(reference).marks),
        "regimes": [0, 99],
        "own_threshold": 0.25,
    }
    (folder / "expected.json").write_text(json.dumps(expected))
