"""A frame's light and signals as the ledger holds them, the monitor made from them, and what it tells."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import structlog

from daemon.ledger.ledger import Ledger, Row
from drift.light import LightEstimate
from drift.monitor import CALM, Change, DriftState, MeasuredFrame, Monitor, Trust
from drift.reference import GRAINY, Reference, Signals
from drift.regimes import FIRST_TIME_MS, TAUGHT, Regime, Sighting, regimes_of
from drift.signals import LIGHT, SIGNALS, Vector
from memory.errors import StoreError
from memory.store import Store
from memory.version import Model
from policies.notices import notices, paused

REWARM_FRAMES = 5_000
log = structlog.get_logger()


def reference_id(model: Model) -> str:
    """The reference that a version was taught with."""
    return model.version.blobs["reference"][:16]


def regimes(model: Model, seed: int) -> tuple[Regime, ...]:
    """The regimes that a version knows."""
    return regimes_of(model.snapshot.regimes, Reference.of(model.snapshot.reference), seed)


def monitor(ledger: Ledger, store: Store, model: Model, seed: int) -> Monitor:
    """A monitor for the version's reference, re-warmed from the ledger's frames under that reference: each is seen with
    the regimes that were known to the version which judged it, so that a restart changes nothing.
    """
    made = Monitor(Reference.of(model.snapshot.reference))
    if made.reference.blind:
        log.warning("taught before causes of drift were known: only the light is watched", do="teach again")
    rows = ledger.all(
        "SELECT * FROM line_frames WHERE signals IS NOT NULL AND reference = ?"
        " AND seq > (SELECT coalesce(max(seq), 0) FROM line_frames WHERE reference <> ?) ORDER BY seq DESC LIMIT ?",
        reference_id(model),
        reference_id(model),
        REWARM_FRAMES,
    )[::-1]
    # Under another reference until now (a new teach, a rollback) the lamp is still the same.
    newest = "SELECT * FROM line_frames WHERE signals IS NOT NULL ORDER BY seq DESC LIMIT 1"
    last = rows[-1] if rows else ledger.one(newest)
    known = _known_to(store, model, seed, {row["version"] for row in rows})
    past = [(_measured(row), known[row["version"]]) for row in rows if row["light"]]
    made.rewarm(past, _light(last, made.reference) if last else made.light, _away(rows[-1]) if rows else None)
    log.info("drift monitor ready", rewarmed_frames=made.rewarmed_frames)
    return made


def columns(monitor: Monitor | None, before: LightEstimate | None, signals: Signals | None) -> dict[str, Any]:
    """What the ledger keeps of a frame's scene: the light that it was compensated by, what that was taken against, its
    signals, and the light as estimated after it.
    """
    if monitor is None or before is None:
        return {"log_ratio": 0.0, "next_log_ratio": 0.0}
    reference = monitor.reference
    return {
        "light": np.array(before.levels).tobytes(),
        "log_ratio": float(before.gain(reference.light).mean()),
        "taught_light": reference.light.tobytes(),
        "reference_light": float(reference.mean[0]),
        "next_light": np.array(monitor.light.levels).tobytes(),
        "next_log_ratio": float(monitor.gain.mean()),
        "signals": _recorded(signals) if signals else None,
    }


def gain(row: Row) -> Vector:
    """The logarithm by channel (3,) that a frame was compensated with."""
    if row["light"]:
        return _doubles(row["light"]) - _doubles(row["taught_light"])
    return np.full(3, float(row["log_ratio"]))


def gain_under(row: Row, reference: Reference) -> Vector:
    """The same light as taken against another reference than the frame's; against its own, the same to the bit."""
    if row["light"]:
        return _doubles(row["light"]) - reference.light
    brighter = float((row["reference_light"] or 0.0) - reference.mean[0])
    return gain(row) + brighter


def tell(ledger: Ledger, before: DriftState, after: DriftState, frame_id: str, now_ms: int) -> None:
    """Record what has changed, is over, or was noticed, which regime is back, and where trust was lost or won."""
    known = {change.cause for change in before.changes}
    for card in notices(after):
        if card.cause not in known:
            told = asdict(card) | {"action": str(card.action)}
            ledger.event(now_ms, "drift", frame_id=frame_id, **told)
            log.warning("drift", **told)
    for change in after.over:
        ledger.event(now_ms, "drift_over", frame_id=frame_id, **asdict(change))
    for change in after.noticed:
        ledger.event(now_ms, "drift_noticed", frame_id=frame_id, **asdict(change))
    if after.known != before.known:
        since_ms = first_seen_ms(ledger, after.known)
        ledger.event(now_ms, "regime", frame_id=frame_id, regime=after.known, since_ms=since_ms)
        log.info("a known regime is back", regime=after.known, since_ms=since_ms)
    if after.trust is not before.trust:
        ledger.event(now_ms, "trust", frame_id=frame_id, before=before.trust, now=after.trust)


def regime(row: Row) -> int:
    """The regime that a frame was judged in."""
    return int(json.loads(row["drift"]).get("regime", TAUGHT))


def first_seen_ms(ledger: Ledger, regime: int) -> int:
    """When a regime was first seen (Unix, ms), 0 for the taught parts'.

    Where retention has removed that frame, it is the time of the next one on record: the parts that made a regime
    known are among them.
    """
    if regime == TAUGHT or regime >= FIRST_TIME_MS:
        return regime
    row = ledger.one(
        "SELECT judged_ms FROM frames WHERE seq >= min(?, (SELECT max(seq) FROM frames)) ORDER BY seq LIMIT 1", regime
    )
    return int(row["judged_ms"]) if row else 0


def sighting(row: Row, model: Model) -> Sighting | None:
    """How the scene was when a frame was judged; None where that was not against the version's reference."""
    said = json.loads(row["drift"])
    if row["signals"] is None or row["reference"] != reference_id(model) or "regime" not in said:
        return None
    changes = tuple(Change(**change) for change in said["changes"])
    fault = paused(replace(CALM, trust=Trust(said["trust"]), changes=changes)) is not None
    return Sighting(said["regime"], row["seq"], _signals(row).values, fault)


def _known_to(store: Store, model: Model, seed: int, numbers: set[int]) -> dict[int, tuple[Regime, ...]]:
    """The regimes known to versions with the reference of `model`, by number; where retention has removed a version,
    those known to `model`.
    """
    reference, regimes_in = Reference.of(model.snapshot.reference), {}
    for number in numbers:
        parts = None
        with contextlib.suppress(StoreError):
            parts = store.regimes(store.version(number))
        regimes_in[number] = regimes_of(model.snapshot.regimes if parts is None else parts, reference, seed)
    return regimes_in


def _measured(row: Row) -> MeasuredFrame:
    return MeasuredFrame(_signals(row), row["seq"], row["judged_ms"], flagged=row["score"] > row["threshold"])


def _away(row: Row) -> int | None:
    """The regime that is not known yet in which a frame was judged; None where it was a known one."""
    drift = json.loads(row["drift"])
    return drift["regime"] if "regime" in drift and drift["regime"] != drift["known"] else None


def _light(row: Row, reference: Reference) -> LightEstimate:
    if row["next_light"]:
        red, green, blue = _doubles(row["next_light"]).tolist()
        return LightEstimate((red, green, blue))
    brighter = row["next_log_ratio"] + row["reference_light"] - reference.mean[0]
    red, green, blue = (reference.light + brighter).tolist()
    return LightEstimate((red, green, blue))


def _recorded(signals: Signals) -> bytes:
    return np.concatenate([signals.values, signals.light, signals.reach[GRAINY]]).tobytes()


def _signals(row: Row) -> Signals:
    values, light, of_grain = np.split(_doubles(row["signals"]), [len(SIGNALS), len(SIGNALS) + len(LIGHT)])
    reach = np.zeros(len(SIGNALS))
    reach[GRAINY] = of_grain if len(of_grain) else 0.0  # ledgers of format 5 hold what was believed nearest
    return Signals(values, light, reach)


def _doubles(held: bytes) -> Vector:
    values: Vector = np.frombuffer(held, dtype=np.float64)
    return values
