"""A sequential test against one fixed reference, with a stated average run length: an e-detector.

Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2023): where each
frame's factor has mean at most 1 as long as nothing has changed, the Shiryaev-Roberts sum of products of factors stays
below a limit for at least that many frames on average (their Theorem 2.4), whatever the distribution.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector

RUN_LENGTH_FRAMES = 10_000  # frames between two false alarms, on average at least
CONFIDENCE = 0.9
CLIP = 4.0  # in spreads: no single frame counts for more
TILTS = np.array([0.25, 0.5, 1.0, 2.0])  # each is best for one size of change, about as many spreads
BURST_FRAMES = 10
LIMIT = RUN_LENGTH_FRAMES * len(SIGNALS) * 2 * len(TILTS)  # all signals, sides and tilts share the false alarms
_CALM = LIMIT / RUN_LENGTH_FRAMES  # sums of a few calm frames
# So many frames of a new material look like as many defects: from calm they must not reach the limit.
_MOST = np.full(len(SIGNALS), np.inf)
_MOST[len(LIGHT) + len(CAMERA) :] = np.log(LIMIT / _CALM / 2) / BURST_FRAMES
_CEILING = 10.0 * LIMIT
_DRAWS, _AT_ONCE = 2_000, 50

Evidence = npt.NDArray[np.float64]


def bound(z: Vector, spread_floor: Vector, seed: int) -> Evidence:
    """The limits of charts: what a frame's evidence is divided by, as logarithms (S, 2, T), from n good parts' signals
    z (n, S) in spreads.

    It bounds log E[exp(tilt · ±z)] of frames like them: the empirical mean, moved by what the mean of n may be off
    (bootstrapped, with `CONFIDENCE` for all signals together, after Gandy and Kvaløy, "Guaranteed conditional
    performance of control charts via bootstrap methods", 2013), and with one more part that lies anywhere, since of n +
    1 exchangeable ones each may be the most extreme. `spread_floor` (S,) is the least spread, in the same spreads.
    """
    n = len(z)
    draws = np.random.default_rng(seed).integers(0, n, (_DRAWS, n))
    amiss = np.concatenate([_amiss(z[some], spread_floor) for some in np.split(draws, _DRAWS // _AT_ONCE)])
    tail = (1 - CONFIDENCE) / (2 * z.shape[1])
    off = np.stack([np.quantile(sign * amiss, 1 - tail, axis=0) for sign in (1, -1)], axis=-1)  # (S, 2)
    clipped = np.clip(z, -CLIP, CLIP)
    known = np.logaddexp.reduce(_sides(clipped, clipped), axis=0) + TILTS * np.maximum(off, 0)[..., None]
    limits: Evidence = np.logaddexp(known, TILTS * CLIP) - np.log(n + 1)
    return limits


def _amiss(drawn: Vector, spread_floor: Vector) -> Vector:
    """By how many of their spreads the means of draws (draws, n, S) are off, (draws, S)."""
    amiss: Vector = -drawn.mean(axis=1) / np.maximum(drawn.std(axis=1), spread_floor)
    return amiss


def evidence(z: Vector, limits: Evidence) -> Evidence:
    """The evidence of frames against the reference, as logarithms (..., S, 2, T), where their first S signals lie from
    z[0] to z[1], (2, ..., S): upwards by the lower ends, downwards by the upper ends.

    No more than `CLIP` spreads count; `BURST_FRAMES` of a material never raise an alarm from calm.
    """
    against = _sides(*np.clip(z, -CLIP, CLIP)) - limits
    capped: Evidence = np.minimum(against, _MOST[: limits.shape[-3], None, None])
    return capped


def as_interval(z: Vector) -> Vector:
    """Exactly known signals z (..., S) as ranges (2, ..., S) from themselves to themselves."""
    return np.stack([z, z])


def alarming(sums: Evidence) -> npt.NDArray[np.bool_]:
    """For which signals (..., S) the sums (..., S, 2, T) raise an alarm."""
    high: npt.NDArray[np.bool_] = sums.sum(axis=(-1, -2)) >= LIMIT
    return high


def calm(sums: Evidence) -> npt.NDArray[np.bool_]:
    """For which signals (..., S) the sums are low: in logarithms less than half of what raises an alarm."""
    low: npt.NDArray[np.bool_] = sums.sum(axis=(-1, -2)) < np.sqrt(LIMIT)
    return low


def accumulate(sums: Evidence, log_evidence: Evidence) -> Evidence:
    """The sums after one more frame with this evidence (Shin et al., eq. 11), never far above the limit."""
    after: Evidence = np.minimum((sums + 1) * np.exp(log_evidence), _CEILING)
    return after


def restarted(log_evidence: Evidence, frames: npt.NDArray[np.int64]) -> Evidence:
    """The sums (S, 2, T) of charts restarted so many `frames` (S,) ago, from the evidence (n, S, 2, T) of frames,
    oldest first.

    A chart restarted after the end of a change does not see it, however high the sums of the running chart are.
    """
    since = log_evidence[::-1].cumsum(axis=0)  # (n, S, 2, T): from each frame to the last, the newest first
    counted = np.arange(len(log_evidence))[:, None] < frames  # (n, S)
    factors = np.where(counted[..., None, None], np.exp(np.minimum(since, np.log(_CEILING))), 0.0)
    sums: Evidence = np.minimum(factors.sum(axis=0), _CEILING)
    return sums


def onset(log_evidence: Evidence, sums: Evidence) -> int:
    """The row of one signal's recent evidence (n, 2, T) with which its change most likely began.

    It is where the evidence from there on is largest (Hinkley 1970, "Inference about the change-point from a sequence
    of random variables"), on the side and at the tilt of the signal's largest sum (2, T).
    """
    side, tilt = np.unravel_index(sums.argmax(), sums.shape)
    since = log_evidence[::-1, side, tilt].cumsum()[::-1]  # (n,): from each row to the last
    return int(since.argmax())


def _sides(low: Vector, high: Vector) -> Evidence:
    """Signals upwards and downwards, times every tilt: (..., S) -> (..., S, 2, T)."""
    tilted: Evidence = np.stack([low, -high], axis=-1)[..., None] * TILTS
    return tilted


assert SIGNALS[len(LIGHT) + len(CAMERA) :] == MATERIAL  # noqa: S101  # `_MOST` relies on it
