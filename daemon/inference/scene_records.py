"""Between the monitor and the ledger: records of a frame's scene, the monitor rebuilt from them, and its events."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import structlog

from daemon.ledger.frames import first_seen_ms, measured_under, newest_measured
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame, SceneRecord, unpacked
from drift.causes import Cause
from drift.light import LightEstimate
from drift.monitor import CALM, Change, DriftState, MeasuredFrame, Monitor, Trust
from drift.reference import GRAINY, Reference, Signals
from drift.regimes import Regime, Sighting, regimes_of
from drift.signals import LIGHT, SIGNALS, Vector
from memory.errors import StoreError
from memory.geometry import Geometry
from memory.region import Region
from memory.store import Store
from memory.version import Model
from policies.notices import Action, notices, paused

REWARM_FRAMES = 5_000
log = structlog.get_logger()


def reference_id(model: Model) -> str:
    """The id of the reference that a version was taught with."""
    return model.version.blobs["reference"][:16]


def regimes(model: Model, seed: int) -> tuple[Regime, ...]:
    """The regimes that a version knows."""
    return regimes_of(model.snapshot.regimes, Reference.of(model.snapshot.reference), seed)


def monitor(ledger: Ledger, store: Store, model: Model, seed: int) -> Monitor:
    """A monitor for the version's reference, re-warmed from the ledger's frames under that reference: each with the
    regimes known to the version that judged it, so that a restart changes nothing.
    """
    rebuilt = Monitor(Reference.of(model.snapshot.reference))
    if rebuilt.reference.blind:
        log.warning("taught before causes of drift were known: only the light is watched", do="teach again")
    frames = measured_under(ledger, reference_id(model), REWARM_FRAMES)
    # After a new teach or a rollback, frames under the other reference still tell what the light is now.
    last = frames[-1] if frames else newest_measured(ledger)
    comparable = last is not None and measured_alike(store, last, model.version.geometry)
    light = _light(last.scene, rebuilt.reference) if last and comparable else rebuilt.light
    rebuilt.rewarm(_past(frames, _known_to(store, model, seed, frames)), light, _away(frames[-1]) if frames else None)
    log.info("drift monitor ready", rewarmed_frames=rebuilt.rewarmed_frames)
    return rebuilt


def scene_record(monitor: Monitor | None, before: LightEstimate | None, signals: Signals | None) -> SceneRecord:
    """The ledger's record of a frame's scene: the light that it was compensated for, the reference light, its signals,
    and the light as estimated after it.
    """
    if monitor is None or before is None:
        return SceneRecord()
    reference = monitor.reference
    return SceneRecord(
        light=np.array(before.levels).tobytes(),
        log_ratio=float(before.gain(reference.light).mean()),
        taught_light=reference.light.tobytes(),
        reference_light=float(reference.mean[0]),
        next_light=np.array(monitor.light.levels).tobytes(),
        next_log_ratio=float(monitor.gain.mean()),
        signals=_packed(signals) if signals else None,
    )


def measured_alike(store: Store, frame: JudgedFrame, geometry: Mapping[str, Any]) -> bool:
    """Whether a frame's light was measured in the region and the intensity window of a version's geometry: in others,
    the same light has other levels. True where the version that judged it is gone, whose geometry nobody knows."""
    with contextlib.suppress(StoreError):
        if frame.version is not None:
            return _measured_in(store.version(frame.version).geometry) == _measured_in(geometry)
    return True


def _measured_in(geometry: Mapping[str, Any]) -> tuple[Region, int | None]:
    return Region.of(geometry.get("region", {})), geometry.get("bits")


def gain_under(scene: SceneRecord, reference: Reference) -> Vector:
    """A frame's gain by channel (3,) relative to a reference, also another than its own; relative to its own, its gain
    to the bit."""
    if scene.light:
        return unpacked(scene.light) - reference.light
    brighter = float((scene.reference_light or 0.0) - reference.mean[0])
    return scene.gain + brighter


def gain_seen(store: Store, frame: JudgedFrame, geometry: Geometry, reference: Reference | None) -> Vector:
    """The gain by channel (3,) to see a judged frame again by: relative to a reference where both measured the light
    alike, else to its own."""
    if reference is None or not measured_alike(store, frame, geometry.to_json()):
        return frame.scene.gain
    return gain_under(frame.scene, reference)


def record_events(ledger: Ledger, before: DriftState, after: DriftState, frame_id: str, now_ms: int) -> None:
    """Record events of what has changed, is over, or was noticed, of a known regime that is back, and of trust."""
    known = {change.cause for change in before.changes}
    for notice in notices(after):
        if notice.cause not in known:
            detail = asdict(notice) | {"action": str(notice.action)}
            ledger.event(now_ms, "drift", frame_id=frame_id, **detail)
            (log.info if notice.action is Action.COMPENSATED else log.warning)("drift", **detail)
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


def sighting(frame: JudgedFrame, model: Model) -> Sighting | None:
    """The sighting of a judged frame; None where it was not measured against the version's reference."""
    signals = frame.scene.signals
    if signals is None or frame.reference != reference_id(model) or "regime" not in frame.drift:
        return None
    changes = tuple(Change(**{**change, "cause": Cause(change["cause"])}) for change in frame.drift["changes"])
    fault = paused(replace(CALM, trust=Trust(frame.drift["trust"]), changes=changes)) is not None
    return Sighting(frame.regime, frame.seq, _signals(signals).values, fault)


def _known_to(
    store: Store, model: Model, seed: int, frames: Sequence[JudgedFrame]
) -> Mapping[int | None, tuple[Regime, ...]]:
    """The regimes known to the versions that judged `frames`, by number; where retention has removed a version, those
    known to `model`, whose reference is theirs.
    """
    reference, known = Reference.of(model.snapshot.reference), {}
    for number in {frame.version for frame in frames}:
        parts = None
        with contextlib.suppress(StoreError):
            parts = store.regimes(store.version(number)) if number is not None else None
        known[number] = regimes_of(model.snapshot.regimes if parts is None else parts, reference, seed)
    return known


def _past(
    frames: Sequence[JudgedFrame], known: Mapping[int | None, tuple[Regime, ...]]
) -> list[tuple[MeasuredFrame, tuple[Regime, ...]]]:
    return [
        (
            MeasuredFrame(_signals(f.scene.signals), f.seq, f.judged_ms, flagged=f.score > f.threshold),
            known[f.version],
        )
        for f in frames
        if f.scene.light and f.scene.signals and f.score is not None and f.threshold is not None
    ]


def _away(frame: JudgedFrame) -> int | None:
    """The regime in which a frame was judged, where that is not known yet; None where it was a known one."""
    return frame.regime if frame.regime != frame.drift.get("known", frame.regime) else None


def _light(scene: SceneRecord, reference: Reference) -> LightEstimate:
    """The light after a frame; by its brightness alone where a ledger before format 5 recorded it."""
    if scene.next_light:
        red, green, blue = unpacked(scene.next_light).tolist()
        return LightEstimate((red, green, blue))
    brighter = scene.next_log_ratio + (scene.reference_light or 0.0) - reference.mean[0]
    red, green, blue = (reference.light + brighter).tolist()
    return LightEstimate((red, green, blue))


def _packed(signals: Signals) -> bytes:
    return np.concatenate([signals.values, signals.light, signals.reach[GRAINY]]).tobytes()


def _signals(packed: bytes) -> Signals:
    values, light, of_grain = np.split(unpacked(packed), [len(SIGNALS), len(SIGNALS) + len(LIGHT)])
    reach = np.zeros(len(SIGNALS))
    reach[GRAINY] = of_grain if len(of_grain) else 0.0  # ledgers of format 5 hold the middle of the range alone
    return Signals(values, light, reach)
