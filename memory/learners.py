"""The registry of learners by kind of detector: our own, and those of other packages by an entry point."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

from memory.composition.detector import COMPOSITION
from memory.composition.learner import CompositionLearner
from memory.detector import PATCH_BANK, Learner
from memory.errors import UnknownDetector
from memory.exported.detector import EXPORTED
from memory.exported.learner import ExportedLearner
from memory.padim.detector import PADIM
from memory.padim.learner import PadimLearner
from memory.patch_bank.learner import PatchBankLearner
from memory.simplenet.detector import SIMPLENET
from memory.simplenet.learner import SimpleNetLearner

GROUP = "driftline.detectors"
OWN: dict[str, Callable[[], Learner]] = {
    PATCH_BANK: PatchBankLearner,
    PADIM: PadimLearner,
    COMPOSITION: CompositionLearner,
    SIMPLENET: SimpleNetLearner,
    EXPORTED: ExportedLearner,
}


def kinds() -> list[str]:
    """All kinds of detectors that are installed: ours first."""
    return [*OWN, *sorted(entry.name for entry in entry_points(group=GROUP) if entry.name not in OWN)]


@cache
def learner_of(kind: str) -> Learner:
    """The learner of a kind of detector. Raises UnknownDetector for a kind that is not installed."""
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind not in OWN and kind not in installed:
        raise UnknownDetector(
            expected=f"a kind of detector among {', '.join(sorted({*OWN, *installed}))}",
            came=repr(kind),
            do="install the package that brings it, or correct memory.detector where a new one is to be taught",
        )
    learner: Learner = OWN[kind]() if kind in OWN else installed[kind].load()()
    return learner
