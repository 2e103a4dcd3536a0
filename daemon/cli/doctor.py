"""Is everything there that a line needs, and if not, what to do."""

from __future__ import annotations

import math
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from daemon import build
from daemon.learning.operating_point import in_force
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from memory.errors import DriftlineError
from memory.store import Store
from policies.parity import Parity
from policies.threshold import Threshold

LOW_DISK_BYTES = 2_000_000_000
CLOCK_LIMIT_S = 2.0
BUILT_AT_S = 1_767_225_600  # 2026-01-01: a clock before it has lost its battery
OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One check's result: `level` is ok, warn or fail; `do` says what to do unless it is ok."""

    check: str
    level: str
    found: str
    do: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, in the order of a start; each survives the failure of the others."""
    yield Finding("config", OK, f"line {settings.line}, state in {settings.state_dir.resolve()}")
    for check, examined in (
        ("disk", _disk),
        ("clock", _clock),
        ("redis", _redis),
        ("weights", _weights),
        ("store", _store),
        ("backend", _backend),
    ):
        yield from _guarded(check, examined, settings)


def _guarded(check: str, examined: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from examined(settings)
    except DriftlineError as error:
        yield Finding(check, FAIL, f"{error.came} (expected {error.expected})", error.do)
    except (OSError, sqlite3.Error) as error:
        yield Finding(check, FAIL, str(error), f"check {settings.state_dir} and its owner")


def _disk(settings: Settings) -> Iterator[Finding]:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    probe = settings.state_dir / ".doctor"
    probe.write_bytes(b"driftline")
    probe.unlink()
    free = shutil.disk_usage(settings.state_dir).free
    low = free < LOW_DISK_BYTES
    yield Finding(
        "disk",
        WARN if low else OK,
        f"{free / 1e9:.1f} GB free in {settings.state_dir}",
        "free some space, or lower retention.ring_frames" if low else "",
    )


def _clock(settings: Settings) -> Iterator[Finding]:
    del settings
    now = time.time()
    sane = now > BUILT_AT_S
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    yield Finding("clock", OK if sane else FAIL, said, "" if sane else "set the clock: verdicts are dated by it")


def _redis(settings: Settings) -> Iterator[Finding]:
    url = settings.redis.url
    if url == build.IN_PROCESS:
        yield Finding("redis", WARN, "in-process broker: nobody else can connect", "set redis.url for production")
        return
    client: Any = redis.Redis.from_url(url, protocol=2, socket_connect_timeout=3, socket_timeout=3)
    try:
        seconds, micros = client.time()
        info, keeps = client.info(), client.config_get("appendonly").get("appendonly") == "yes"
    except (redis.RedisError, OSError) as error:
        yield Finding("redis", FAIL, f"{url}: {error}", "start redis-server, or correct redis.url")
        return
    apart = abs(seconds + micros / 1e6 - time.time())
    yield Finding("redis", OK, f"{url}, version {info['redis_version']}")
    if apart > CLOCK_LIMIT_S:
        yield Finding("redis clock", WARN, f"{apart:.1f} s from ours", "synchronise both clocks: deadlines use them")
    if not keeps:
        yield Finding(
            "redis persistence", WARN, "appendonly is off: unread frames are lost if Redis stops", "set appendonly yes"
        )


def _weights(settings: Settings) -> Iterator[Finding]:
    made = build.extractor(settings)
    found = f"{settings.extractor.model} on {made.device}, fingerprint {made.fingerprint[:12]}"
    if made.untrained:
        yield Finding("weights", WARN, f"{found}, untrained", "set extractor.weights: random features detect badly")
    else:
        yield Finding("weights", OK, found)
    head = Store(settings.state_dir / "store").head()
    if head and head.extractor != made.fingerprint:
        yield Finding(
            "weights", FAIL, f"version {head.number} was taught with another extractor", "restore it, or teach anew"
        )


def _backend(settings: Settings) -> Iterator[Finding]:
    from memory.backends import Torch, library

    name, head = settings.extractor.backend, Store(settings.state_dir / "store").head()
    if name == Torch.name:
        yield Finding("backend", OK, "torch")
        return
    library(name)
    held = open_state(settings.state_dir).ledger.certificate(head.sha256, name) if head else None
    if head is None or held is None:
        yield Finding("backend", OK, f"{name}, to be compared with torch by the next `teach` or `run`")
        return
    refusal = Parity.of(held["parity"]).refusal
    if refusal:
        yield Finding(
            "backend",
            WARN,
            f"{name} refused for version {head.number}: {refusal}",
            "torch judges; set another extractor.backend",
        )
    else:
        yield Finding("backend", OK, f"{held['made']}, certified for version {head.number}")


def _store(settings: Settings) -> Iterator[Finding]:
    store = Store(settings.state_dir / "store")
    for line in store.damaged():
        yield Finding("store", FAIL, line, "restore that file from a backup; the version before it is in use")
    head = store.head()
    if head is None:
        yield Finding("store", WARN, "no version yet", "run `driftline teach DIR` with images of good parts")
        return
    threshold = Threshold.of(head.threshold)
    yield Finding("store", OK, f"version {head.number} of {head.created_at}, {head.bank_size} patches")
    if not threshold.supports_rate:
        needed = math.ceil(round(1 / threshold.rate, 9)) - 1
        yield Finding(
            "threshold",
            WARN,
            f"{len(threshold.scores)} good parts support a false-reject rate of {threshold.guaranteed_rate:.1%}, "
            f"not {threshold.rate:.1%}",
            f"teach more good parts: that rate needs {needed}",
        )
    configured = settings.policy.false_reject_rate
    if (rate := in_force(store, configured)) != configured:
        yield Finding(
            "rate",
            WARN,
            f"an engineer set {rate:.1%} false rejects on the console; the configured {configured:.1%} counts again "
            "once that is another number",
            "see who and when in `driftline versions list`; nothing if that was meant",
        )
    if threshold.single_part_dominates:
        yield Finding(
            "odd part",
            WARN,
            f"{threshold.pivot_part} alone sets the threshold at {threshold.value:.4f};"
            f" without it {threshold.value_without_pivot:.4f}",
            "look whether that part is good: what is no odder passes. If not, `driftline revoke` a frame's answers, or "
            "teach again without a taught image, which starts learning anew",
        )
