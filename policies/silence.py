"""When a line that rejects nothing is told: it has probably stopped inspecting."""

from __future__ import annotations

import math

EXPECTED = 10  # false rejects that so many frames would hold on the mean
FEWEST = 120


def quiet_after(false_reject_rate: float) -> int:
    """The number of frames passed in a row that is told.

    At the rate that was asked for they would hold ten false rejects: none comes by chance with a probability of
    (1 − rate)^(10 / rate) ≤ e^−10. A threshold that few parts support rejects less, so it is told, and is no trouble.
    """
    return max(math.ceil(EXPECTED / false_reject_rate), FEWEST)
