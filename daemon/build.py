"""The composition root: the only place where a service is put together from its parts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import redis
import structlog

from daemon import clock
from daemon.inference.backend import AcceleratedBackend
from daemon.inference.engine import Engine
from daemon.inference.quickest import AUTO, QuickestBackend
from daemon.intake.registry import open_source
from daemon.ledger.state import State
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.tracing import tracing
from daemon.streams import RedisStreams
from memory.backends import BFLOAT16, INT8, OPENVINO, TORCH, installed, library
from memory.errors import DriftlineError, WeightsError
from memory.outline import KeptOutline, identity

if TYPE_CHECKING:
    from memory.extract import Extractor

IN_PROCESS = "memory://"
BACKENDS = "backends"  # what other backends than torch need, in the state folder
log = structlog.get_logger()


def extractor(settings: Settings) -> Extractor:
    """The configured extractor; also sets the threads of this process. Warns in the log of random weights.

    Where another backend than torch judges, and its network is kept, torch is not loaded before something is learned.
    """
    from memory.exported.model import ExportedModel
    from memory.extract import Extractor
    from memory.runtime import keep_freed_memory, use_threads

    configured = settings.extractor
    keep_freed_memory()
    use_threads(configured.threads)
    backbone = Extractor(
        model=configured.model,
        layers=configured.layers,
        weights=configured.weights,
        input_px=configured.input_px,
        normalize=configured.normalize,
        device=configured.device,
        scorer=ExportedModel(configured.scorer, configured.threads) if configured.scorer else None,
        kept=_kept_outline(settings) if accelerated_backends(settings) else None,
    )
    if backbone.untrained:
        log.warning("untrained weights: random features, for demonstrations only", model=configured.model)
    log.info("extractor ready", model=configured.model, loaded=backbone.loaded, fingerprint=backbone.fingerprint[:12])
    return backbone


def _kept_outline(settings: Settings) -> KeptOutline | None:
    """Where the outline of the configured network is kept; None where its weights are not to be read, of which who
    loads them tells more. A damaged one is told and removed."""
    of = settings.extractor
    try:
        name = identity(of.model, of.layers, of.weights, of.input_px, normalize=of.normalize, device=of.device)
    except (WeightsError, OSError):
        return None
    kept = KeptOutline(settings.state_dir / BACKENDS / "outline.json", name)
    try:
        kept.read()
    except DriftlineError as error:
        log.warning("the network's outline cannot be read", error=str(error))
        kept.drop()
    return kept


def redis_streams(settings: Settings) -> RedisStreams:
    """The line's streams; nothing connects yet. `memory://` is a broker inside this process, with a warning in the
    log."""
    url = settings.redis.url
    if url == IN_PROCESS:
        import fakeredis

        log.warning("in-process broker: no other program can connect, and entries are lost at exit")
        client: redis.Redis = fakeredis.FakeRedis(protocol=2)
    else:
        # Protocol 2 has one reply shape from Redis 6 to 8.
        client = redis.Redis.from_url(url, protocol=2, socket_timeout=10, socket_connect_timeout=3)
    return RedisStreams(client, url, settings.redis.prefix, settings.line)


def reference_engine(settings: Settings, opened: State, backbone: Extractor) -> Engine:
    """A line's engine on the reference backend, for learning and comparisons; no version is active yet."""
    return Engine(settings, backbone, opened, clock.unix_ms)


def engine(settings: Settings, opened: State, backbone: Extractor) -> Engine:
    """A line's engine on the configured backend; no version is active yet. Raises DriftlineError where its library is
    not installed."""
    threads, folder = settings.extractor.threads, settings.state_dir / BACKENDS
    accelerated = [AcceleratedBackend(name, backbone, threads, folder) for name in accelerated_backends(settings)]
    if settings.extractor.backend != AUTO:
        for each in accelerated:
            library(each.name)
        return Engine(settings, backbone, opened, clock.unix_ms, *accelerated)
    chosen = QuickestBackend(accelerated, backbone, threads) if accelerated else None
    return Engine(settings, backbone, opened, clock.unix_ms, chosen)


def accelerated_backends(settings: Settings) -> tuple[str, ...]:
    """The backends that may judge in place of torch: the configured one, or for `auto` those of OpenVINO where it is
    installed; none where torch is to use a named GPU."""
    of = settings.extractor
    if of.backend != AUTO:
        return () if of.backend == TORCH else (of.backend,)
    own_device = of.device in {AUTO, "cpu"}
    return tuple(name for name in (OPENVINO, BFLOAT16, INT8) if own_device and installed(name))


def service(settings: Settings, opened: State, backbone: Extractor, streams: RedisStreams) -> Service:
    """A line's service, ready to `start`."""
    source = open_source(settings, streams)
    return Service(engine(settings, opened, backbone), opened.store, source, streams, tracing(settings))


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """A lock on the state folder for one scoring process; the kernel releases it however that process ends.

    Raises DriftlineError when another process holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DriftlineError(
                expected=f"the only service on {root}",
                came=f"another one, process {lock.read().strip() or '?'}",
                do="stop it first, or give this one another state_dir",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
