"""`driftline doctor`: checks of everything that a line needs, each with what to do."""

from __future__ import annotations

import math
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from daemon import build
from daemon.cli.terminal import chosen
from daemon.inference.quickest import AUTO, CHOSEN
from daemon.learning.operating_point import in_force
from daemon.ledger.ledger import Ledger
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from memory.backends import TORCH, library
from memory.errors import DriftlineError
from memory.store import Store
from memory.version import Version
from policies.parity import Parity
from policies.quickest import Choice
from policies.threshold import Threshold

LOW_DISK_BYTES = 2_000_000_000
CLOCK_LIMIT_S = 2.0
LEAST_REDIS = (6, 2)  # whose streams can be claimed and trimmed by id
BUILT_AT_S = 1_767_225_600  # 2026-01-01: a clock before it has lost its battery


class Severity(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check, and what to `do` unless it is ok."""

    check: str
    level: Severity
    found: str
    do: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings of all checks, in the order of a start; the failure of one does not stop the others."""
    yield Finding("config", Severity.OK, f"line {settings.line}, state in {settings.state_dir.resolve()}")
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
        yield Finding(check, Severity.FAIL, f"{error.came} (expected {error.expected})", error.do)
    except (OSError, sqlite3.Error) as error:
        yield Finding(check, Severity.FAIL, str(error), f"check {settings.state_dir} and its owner")


def _disk(settings: Settings) -> Iterator[Finding]:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    probe = settings.state_dir / ".doctor"
    probe.write_bytes(b"driftline")
    probe.unlink()
    free = shutil.disk_usage(settings.state_dir).free
    low = free < LOW_DISK_BYTES
    yield Finding(
        "disk",
        Severity.WARN if low else Severity.OK,
        f"{free / 1e9:.1f} GB free in {settings.state_dir}",
        "free some space, or lower retention.ring_frames" if low else "",
    )


def _clock(settings: Settings) -> Iterator[Finding]:
    del settings
    now = time.time()
    sane = now > BUILT_AT_S
    utc = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    yield Finding(
        "clock", Severity.OK if sane else Severity.FAIL, utc, "" if sane else "set the clock: verdicts are dated by it"
    )


def _redis(settings: Settings) -> Iterator[Finding]:
    url = settings.redis.url
    if url == build.IN_PROCESS:
        yield Finding(
            "redis", Severity.WARN, "in-process broker: nobody else can connect", "set redis.url for production"
        )
        return
    client: Any = redis.Redis.from_url(url, protocol=2, socket_connect_timeout=3, socket_timeout=3)
    try:
        seconds, micros = client.time()
        info, keeps = client.info(), client.config_get("appendonly").get("appendonly") == "yes"
    except (redis.RedisError, OSError) as error:
        yield Finding("redis", Severity.FAIL, f"{url}: {error}", "start redis-server, or correct redis.url")
        return
    apart = abs(seconds + micros / 1e6 - time.time())
    version = tuple(int(part) for part in info["redis_version"].split(".")[:2])
    old = "" if version >= LEAST_REDIS else f"update it to {'.'.join(map(str, LEAST_REDIS))} or newer"
    yield Finding("redis", Severity.FAIL if old else Severity.OK, f"{url}, version {info['redis_version']}", old)
    if apart > CLOCK_LIMIT_S:
        yield Finding(
            "redis clock", Severity.WARN, f"{apart:.1f} s from ours", "synchronise both clocks: deadlines use them"
        )
    if not keeps:
        yield Finding(
            "redis persistence",
            Severity.WARN,
            "appendonly is off: unread frames are lost if Redis stops",
            "set appendonly yes",
        )


def _weights(settings: Settings) -> Iterator[Finding]:
    extractor = build.extractor(settings)
    _ = extractor.network  # also where a line would not load it before it learns
    description = f"{settings.extractor.model} on {extractor.device}, fingerprint {extractor.fingerprint[:12]}"
    if extractor.untrained:
        yield Finding(
            "weights", Severity.WARN, f"{description}, untrained", "set extractor.weights: random features detect badly"
        )
    else:
        yield Finding("weights", Severity.OK, description)
    head = Store(settings.state_dir / "store").head()
    if head and head.extractor != extractor.fingerprint:
        yield Finding(
            "weights",
            Severity.FAIL,
            f"version {head.number} was taught with another extractor",
            "restore it, or teach anew",
        )


def _backend(settings: Settings) -> Iterator[Finding]:
    name, head = settings.extractor.backend, Store(settings.state_dir / "store").head()
    if not (named := build.accelerated_backends(settings)):
        yield Finding("backend", Severity.OK, TORCH)
        return
    library(named[0])
    ledger = open_state(settings.state_dir).ledger
    if name == AUTO:
        yield Finding("backend", Severity.OK, _quickest(ledger, head))
        return
    certificate = ledger.certificate(head.sha256, name) if head else None
    if head is None or certificate is None:
        yield Finding("backend", Severity.OK, f"{name}, to be compared with torch by the next `teach` or `run`")
        return
    refusal = Parity.of(certificate["parity"]).refusal
    if refusal:
        yield Finding(
            "backend",
            Severity.WARN,
            f"{name} refused for version {head.number}: {refusal}",
            "torch judges; set another extractor.backend",
        )
    else:
        yield Finding("backend", Severity.OK, f"{certificate['made']}, certified for version {head.number}")


def _quickest(ledger: Ledger, head: Version | None) -> str:
    last = ledger.get_status(CHOSEN)
    if head is None or last is None or last["version"] != head.sha256:
        return "auto, to be chosen by the next `teach` or `run`"
    return f"{last['made']}, chosen for version {head.number}; {chosen(Choice(last['ms'], last['refused']))}"


def _store(settings: Settings) -> Iterator[Finding]:
    store = Store(settings.state_dir / "store")
    for line in store.damaged():
        yield Finding("store", Severity.FAIL, line, "restore that file from a backup; the version before it is in use")
    head = store.head()
    if head is None:
        yield Finding("store", Severity.WARN, "no version yet", "run `driftline teach DIR` with images of good parts")
        return
    threshold = Threshold.of(head.threshold)
    yield Finding("store", Severity.OK, f"version {head.number} of {head.created_at}, {head.bank_size} patches")
    if not threshold.supports_rate:
        needed = math.ceil(round(1 / threshold.rate, 9)) - 1
        yield Finding(
            "threshold",
            Severity.WARN,
            f"{len(threshold.scores)} good parts support a false-reject rate of {threshold.least_rate:.1%}, "
            f"not {threshold.rate:.1%}",
            f"teach more good parts: that rate needs {needed}",
        )
    configured = settings.policy.false_reject_rate
    if (rate := in_force(store, configured)) != configured:
        yield Finding(
            "rate",
            Severity.WARN,
            f"an engineer set {rate:.1%} false rejects on the console; the configured {configured:.1%} counts again "
            "once that is another number",
            "see who and when in `driftline versions list`; nothing if that was meant",
        )
    if threshold.odd_parts:
        yield Finding(
            "odd parts",
            Severity.WARN,
            f"odd beside the other good parts, and left out of the threshold: {', '.join(threshold.odd_parts)}",
            "look whether they are good. If not, `driftline revoke` a frame's answers, or teach again without a taught "
            "image, which starts learning anew",
        )
    if threshold.single_part_dominates:
        yield Finding(
            "odd part",
            Severity.WARN,
            f"{threshold.pivot_part} alone sets the threshold at {threshold.value:.4f};"
            f" without it {threshold.value_without_pivot:.4f}",
            "look whether that part is good: what is no odder passes. If not, `driftline revoke` a frame's answers, or "
            "teach again without a taught image, which starts learning anew",
        )
