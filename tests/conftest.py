"""What the tests share: a tiny line with random features, and Redis in two forms."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import hypothesis
import numpy as np
import pytest
import redis
import structlog
from pictures import INPUT_PX, material_of, png
from servers import RealRedis, need

from daemon import build, clock
from daemon.datasets.rendered import part
from daemon.intake.sources import Frame
from daemon.learning.teach import images_in, teach
from daemon.ledger.database import Row
from daemon.ledger.history import newest_events
from daemon.ledger.ledger import Ledger
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from drift.reference import Reference, fit_reference
from drift.signals import Inside
from memory.features import Features, Image
from memory.region import Region
from memory.simplenet import training

if TYPE_CHECKING:
    from memory.extract import Extractor

# Deadlines would assert timing: on a busy machine any example may be slow.
hypothesis.settings.register_profile("driftline", deadline=None)
hypothesis.settings.load_profile("driftline")

ROOT = Path(__file__).resolve().parents[1]
NOW_MS = 1_790_000_000_000
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 << 30  # noqa: S108  # pytest makes a folder of its own in it


def pytest_configure() -> None:
    """Workers compute with a thread each, and what is written lies in memory: no test cuts the power."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(autouse=True)
def _hermetic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting leaks in from the environment of whoever runs the tests, and no logger from test to test."""
    for name in [n for n in os.environ if n.startswith("DRIFTLINE_") and n != "DRIFTLINE_SHARED"]:
        monkeypatch.delenv(name)
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])  # drawn tracebacks take a second each
    yield
    structlog.reset_defaults()


@pytest.fixture
def rng() -> np.random.Generator:
    """A random source of each test's own, for values that no test depends on."""
    return np.random.default_rng(0)


Look = Callable[[Image], Features]
_referred: dict[bytes, Reference] = {}


@pytest.fixture
def trained_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process trains is trained for less long."""
    monkeypatch.setattr(training, "STEPS", 60)


@pytest.fixture(autouse=True)
def _refer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference is made once of the same parts by the same backbone: trying every cause on them takes time."""

    def once(images: Sequence[Image], seen: Sequence[Features], look: Look, seed: int, inside: Inside) -> Reference:
        digest = hashlib.sha256(seen[0].patches.tobytes() + bytes([seed]))
        digest.update(b"" if inside is None else inside.tobytes())
        for image in images:
            digest.update(image.tobytes())
        if digest.digest() not in _referred:
            _referred[digest.digest()] = fit_reference(images, seen, look, seed, inside)
        return _referred[digest.digest()]

    monkeypatch.setattr("daemon.learning.teach.fit_reference", once)


@pytest.fixture(scope="session")
def reference() -> Reference:
    """What sixteen good parts look like, by plain colours."""
    parts = [part(number) for number in range(16)]
    return fit_reference(parts, [material_of(each) for each in parts], material_of, seed=0)


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    """Random features of a small image: fast, seeded, good enough to tell a burr from a plate."""
    from memory.extract import Extractor  # who only hands tests out to workers need not wait for torch

    return Extractor(
        model="resnet18", layers=(1,), weights="untrained", input_px=INPUT_PX, normalize=True, device="cpu"
    )


def line_in(folder: Path, **sections: object) -> Settings:
    """A tiny line in a folder of its own with an in-process broker; `sections` stand beside its own, or for them."""
    return Settings.model_validate(
        {
            "line": "test",
            "state_dir": folder / "state",
            "extractor": {
                "model": "resnet18",
                "layers": [1],
                "weights": "untrained",
                "input_px": INPUT_PX,
                "threads": 1,
                "backend": "torch",
            },
            "memory": {"bank_patches": 400, "lesson_patches": 80},
            "policy": {"false_reject_rate": 0.1, "audit_share": 0.0, "lesson_after": 3},
            "redis": {"url": "memory://"},
            "source": {"allowed_roots": [str(folder)]},
        }
        | sections
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a test's own line."""
    return line_in(tmp_path)


@pytest.fixture
def wire(settings: Settings) -> RedisStreams:
    """The line's streams in process."""
    return RedisStreams(fakeredis.FakeRedis(protocol=2), "memory://", settings.redis.prefix, settings.line)


def render(folder: Path) -> Path:
    """A folder of rendered good parts."""
    folder.mkdir()
    for number in range(16):
        (folder / f"{number:02d}.png").write_bytes(png(number))
    return folder


@pytest.fixture
def good_parts(tmp_path: Path) -> Path:
    """Good parts of a test's own."""
    return render(tmp_path / "good")


def untracked(paths: Sequence[Path], _what: str) -> Sequence[Path]:
    """A `Track` that shows nothing."""
    return paths


def make_service(settings: Settings, extractor: Extractor, wire: RedisStreams) -> Service:
    """The service over the line's state folder, not started: what a restart builds."""
    return build.service(settings, open_state(settings.state_dir), extractor, wire)


@pytest.fixture
def untaught(settings: Settings, extractor: Extractor, wire: RedisStreams) -> Service:
    """A service without a version."""
    return make_service(settings, extractor, wire)


def teach_line(settings: Settings, extractor: Extractor, files: Iterable[bytes], region: Region | None = None) -> Path:
    """The state folder of a line, taught from files with this content beside it."""
    folder = settings.state_dir.with_name("good")
    folder.mkdir(parents=True)
    for number, data in enumerate(files):
        (folder / f"{number:03d}.png").write_bytes(data)
    opened = open_state(settings.state_dir)
    engine = build.engine(settings, opened, extractor)
    teach(images_in(folder), engine, opened.store, "pytest", untracked, region)
    opened.ledger.close()
    return settings.state_dir


def start_line(taught: Path, settings: Settings, extractor: Extractor, wire: RedisStreams) -> Service:
    """A started service over a copy of a taught line's state folder."""
    shutil.copytree(taught, settings.state_dir)
    started = make_service(settings, extractor, wire)
    started.start()
    return started


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Path:
    """The state folder of a taught line, which tests copy: teaching again for each would take longer than they do."""
    settings = line_in(tmp_path_factory.mktemp("taught"))
    return teach_line(settings, extractor, map(png, range(16)))


@pytest.fixture
def service(taught: Path, settings: Settings, extractor: Extractor, wire: RedisStreams) -> Service:
    """A taught and started service."""
    return start_line(taught, settings, extractor, wire)


def frame(frame_id: str, data: bytes | None, problem: str | None = None) -> Frame:
    """A frame as a source gives it."""
    return Frame(frame_id, f"part-{frame_id}", "test", clock.unix_ms(), data, problem)


@pytest.fixture
def real_redis(tmp_path: Path) -> Iterator[RealRedis]:
    """A real redis-server."""
    need("redis-server")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RealRedis(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.redis)])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """The same contract tests run over both forms of Redis."""
    if request.param == "fake":
        yield fakeredis.FakeRedis(protocol=2)
    else:
        server: RealRedis = request.getfixturevalue("real_redis")
        with server.client() as connection:
            yield connection


def rows(ledger: Ledger, query: str, *values: str | int) -> list[Row]:
    """What a ledger holds: the one place where tests ask it in SQL."""
    return ledger.database.rows(query, *values)


def details(ledger: Ledger, kind: str) -> list[Mapping[str, Any]]:
    """What was told in the events of a kind, oldest first."""
    return [event.detail for event in reversed(newest_events(ledger, (kind,), 1_000))]


def settle(service: Service, until: Callable[[], bool], turns: int = 200) -> None:
    """Turn until something holds."""
    for _ in range(turns):
        if until():
            return
        service.turn(10)
    raise AssertionError("it did not come to pass")
