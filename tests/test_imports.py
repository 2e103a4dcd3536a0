"""Imports flow one way: daemon → policies → memory, drift; inside the daemon from floor to floor.

Each heavy library has one door.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest
from conftest import ROOT
from servers import fresh_python

MAY_IMPORT = {
    "memory": {"memory"},
    "drift": {"drift", "memory.features", "memory.progress", "memory.side_by_side"},
    "policies": {"policies", "memory", "drift"},
    "daemon": {"daemon", "policies", "memory", "drift"},
}
# From the ground up: each may import what is in its own room or below.
FLOORS = (
    {"languages"},
    {"clock", "settings"},
    {"streams"},
    {"intake"},
    {"ledger"},
    {"inference"},
    {"learning"},
    {"reporting"},
    {"build", "inspection", "outages", "retention", "schedule", "service", "status"},
    {"datasets"},
    {"evaluation"},
    {"console", "plant"},
    {"cli"},
)
DOORS = {
    "torch": {f"memory/{name}.py" for name in ("backbone", "conversion", "half", "packed", "patch_network", "runtime")}
    | {f"memory/{name}.py" for name in ("reference_network", "simplenet/training", "tiny", "torch_backend")}
    | {"memory/weights_file.py"},
    "openvino": set(),  # with the next two, imported by name in memory/backends.py alone: they are extras
    "onnxruntime": set(),
    "nncf": set(),
    "timm": {"memory/backbone.py", "memory/weights_file.py"},
    "faiss": {"memory/composition/words.py", "memory/patch_bank/index.py", "memory/runtime.py"},
    "river": {"drift/river_detectors.py"},
    "redis": {"daemon/streams.py", "daemon/build.py", "daemon/cli/doctor.py"},
    "sqlite3": {"daemon/ledger/database.py", "daemon/cli/doctor.py"},
    "apscheduler": {"daemon/schedule.py"},
    "fastapi": {f"daemon/console/{name}.py" for name in ("access", "api", "app", "health", "pages")}
    | {f"daemon/console/{name}.py" for name in ("api_versions", "computed", "login", "refusals", "reports", "services")}
    | {f"daemon/console/{name}.py" for name in ("study_pages", "templating")},
    "uvicorn": {"daemon/cli/console.py", "daemon/cli/worker.py"},
    "paho": {"daemon/plant/mqtt.py"},
    "httpx": {"daemon/console/computed.py", "daemon/console/worker.py", "daemon/plant/webhook.py"},
    "pymodbus": {"daemon/plant/modbus.py"},
    "asyncua": {"daemon/plant/opcua.py"},
    "scipy": {
        "drift/signals.py",
        "memory/composition/words.py",
        "policies/outlook.py",
        "policies/reliability.py",
        "policies/taught_set.py",
        "policies/threshold.py",
    },
    "sklearn": {"daemon/evaluation/metrics.py"},
    "imagecodecs": {"daemon/intake/jpeg2000.py", "daemon/intake/readers.py", "daemon/ledger/packed.py"},
    "simplejpeg": {"daemon/intake/jpeg.py", "daemon/intake/readers.py"},
    "tifffile": {"daemon/intake/tiff.py", "daemon/datasets/depth_frames.py"},
    "av": {"daemon/intake/video.py"},
    "opentelemetry": {"daemon/settings/tracing.py"},
    "pickle": set(),
}


def modules() -> list[str]:
    return [str(p.relative_to(ROOT)) for package in MAY_IMPORT for p in sorted((ROOT / package).rglob("*.py"))]


@cache
def imported(path: str) -> frozenset[str]:
    """Every module that a file imports, by its whole name."""
    return frozenset(_imported(path))


def _imported(path: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            module = node.module or ""
            folder = ROOT / module.replace(".", "/")
            submodules = [alias.name for alias in node.names if (folder / f"{alias.name}.py").exists()]
            yield from (f"{module}.{name}" for name in submodules)
            if len(submodules) < len(node.names):
                yield module


def floor(module: str) -> int:
    """On which floor a module of the daemon lies."""
    room = module.split(".")[1]
    return next(height for height, rooms in enumerate(FLOORS) if room in rooms)


def imported_names(path: str) -> Iterator[str]:
    """What a file imports by full name, both `daemon` and `daemon.build` for `from daemon import build`."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield str(node.module)


@pytest.mark.parametrize("path", modules())
def test_imports_flow_one_way(path: str) -> None:
    package = path.split("/", maxsplit=1)[0]
    for module in imported(path):
        if module.split(".")[0] in MAY_IMPORT:
            allowed = MAY_IMPORT[package]
            assert module.split(".")[0] in allowed or module in allowed, module


@pytest.mark.parametrize("path", [path for path in modules() if path.startswith("daemon/") and path.count("/") > 0])
def test_inside_the_daemon_imports_flow_down(path: str) -> None:
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    if module == "daemon":
        return
    for other in imported(path):
        if other.startswith("daemon."):
            same_room = other.split(".")[1] == module.split(".")[1]
            below = floor(other) < floor(module)
            root = (
                floor(other) == floor(module) == floor("daemon.service")
            )  # the root's files have an order of their own
            assert same_room or below or root, other


def test_pages_and_connectors_do_not_build_what_they_serve() -> None:
    rooms = [path for path in modules() if path.startswith(("daemon/console/", "daemon/plant/"))]
    assert [path for path in rooms if "daemon.build" in imported(path)] == []


def test_the_daemon_s_root_stays_small() -> None:
    assert len(list((ROOT / "daemon").glob("*.py"))) <= 10


@pytest.mark.parametrize(("library", "doors"), DOORS.items())
def test_a_library_is_imported_at_its_door_only(library: str, doors: set[str]) -> None:
    assert {path for path in modules() if library in {name.split(".")[0] for name in imported(path)}} <= doors


@pytest.mark.parametrize("path", [path for path in modules() if path.startswith(("daemon/console/", "daemon/plant/"))])
def test_what_is_composed_does_not_know_who_composes_it(path: str) -> None:
    assert "daemon.build" not in set(imported_names(path))


@pytest.mark.parametrize("path", modules())
def test_the_ledger_s_room_alone_asks_its_database(path: str) -> None:
    names = {node.attr for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Attribute)}
    assert "database" not in names or path.startswith("daemon/ledger/")


@pytest.mark.parametrize("path", sorted(path for path in modules() if path.startswith("daemon/ledger/")))
def test_the_ledger_knows_nothing_of_who_judges_and_learns(path: str) -> None:
    text = (ROOT / path).read_text()
    assert not any(f"daemon.{room}" in text for room in ("inference", "learning", "service", "console", "plant"))


@pytest.mark.parametrize("path", modules())
def test_files_hold_one_idea(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 260


def test_reading_versions_does_not_import_torch_and_nothing_connects() -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*a): raise SystemExit('connected at import')\n"
        "socket.socket.connect = refuse\n"
        "import daemon.cli.main\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)\n"
    )
    done = fresh_python(script)
    assert done.returncode == 0, done.stderr
