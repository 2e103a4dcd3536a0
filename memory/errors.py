"""The errors of Driftline. Each says what was expected, what came and what to do next."""


class DriftlineError(Exception):
    """Base of every error that Driftline raises on purpose.

    `expected`, `came` and `do` are shown to a person: in the terminal, the log and the dead-letter stream.
    """

    def __init__(self, *, expected: str, came: str, do: str) -> None:
        super().__init__(f"expected {expected}; came {came}; {do}")
        self.expected = expected
        self.came = came
        self.do = do


class WeightsError(DriftlineError):
    """The backbone's weights are absent, unreadable or of another architecture."""


class ExtractorMismatch(DriftlineError):
    """A snapshot was taught with another extractor than the one configured."""


class UnknownDetector(DriftlineError):
    """No installed package brings this kind of detector."""


class UnsuitableImages(DriftlineError):
    """Images of which only some patches are kept, for a kind of detector that needs all of them."""


class StoreError(DriftlineError):
    """The store cannot be read or written (full disk, corruption, no version yet)."""


class StaleParent(StoreError):
    """Somebody else committed first: the proposal's base is no longer the head."""


class Damaged(StoreError):
    """A version's manifest or blobs are not what was written: it is skipped, never repaired by guess."""
