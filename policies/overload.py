"""Which frames are not judged when they come faster than they can be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SHARE_OF_DEADLINE = 4  # frames are left out once those that wait fill a quarter of the deadline


class Overload(StrEnum):
    """How frames are left out: those that cannot be judged by their deadline, evenly before it comes to that, or all
    but the newest."""

    DEADLINE = "deadline"
    SAMPLE = "sample"
    NEWEST = "newest"


@dataclass(frozen=True)
class Load:
    """What waits when a frame is taken up: its `number`, its age, how many frames wait `behind` it, and how long
    judging one takes."""

    number: int
    age_ms: float
    behind: int
    judge_ms: float


def left_out(how: Overload, load: Load, deadline_ms: int | None) -> str | None:
    """Why a frame is answered UNKNOWN without being looked at; None: it is judged.

    A frame is begun where twice the mean time for one is left: some take longer, and its verdict has to be told. No
    time that judging once took leaves out a frame younger than half its deadline: it would never be learned anew.
    `sample` judges every k-th, k = 1 + ⌊4 · (frames that wait) · (time for one) / deadline⌋, so that k grows until
    those that wait become no more.
    """
    if deadline_ms is not None and load.age_ms + min(2 * load.judge_ms, deadline_ms / 2) > deadline_ms:
        return (
            f"deadline passed: {load.age_ms:.0f} ms old, {deadline_ms} ms allowed, judging takes {load.judge_ms:.0f} ms"
        )
    if how is Overload.NEWEST and load.behind:
        return f"overload: {load.behind} newer frames wait, and only the newest is judged"
    if how is Overload.SAMPLE and deadline_ms is not None:
        every = 1 + int(SHARE_OF_DEADLINE * load.behind * load.judge_ms / deadline_ms)
        if load.number % every:
            return f"overload: {load.behind} frames wait, and one in {every} is judged"
    return None
