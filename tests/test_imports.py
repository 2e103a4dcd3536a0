"""Imports flow one way: daemon → policies → memory, drift; each heavy library has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from conftest import ROOT
from servers import fresh_python

MAY_IMPORT = {
    "memory": {"memory"},
    "drift": {"drift"},
    "policies": {"policies", "memory", "drift"},
    "daemon": {"daemon", "policies", "memory", "drift"},
}
DOORS = {
    "torch": {"memory/backends.py", "memory/extract.py", "memory/tiny.py", "daemon/build.py"},
    "openvino": set(),  # with the next two, imported by name in memory/backends.py alone: they are extras
    "onnxruntime": set(),
    "nncf": set(),
    "timm": {"memory/extract.py"},
    "faiss": {"memory/search.py"},
    "river": {"drift/river_detectors.py"},
    "redis": {"daemon/streams.py", "daemon/build.py", "daemon/cli/doctor.py"},
    "sqlite3": {"daemon/ledger/ledger.py", "daemon/cli/doctor.py"},
    "apscheduler": {"daemon/schedule.py"},
    "fastapi": {f"daemon/console/{name}.py" for name in ("access", "api", "app", "health", "pages")}
    | {f"daemon/console/{name}.py" for name in ("api_versions", "login", "parts")},
    "uvicorn": {"daemon/cli/console.py"},
    "paho": {"daemon/plant/mqtt.py"},
    "httpx": {"daemon/plant/webhook.py"},
    "pymodbus": {"daemon/plant/modbus.py"},
    "asyncua": {"daemon/plant/opcua.py"},
    "scipy": {"policies/outlook.py", "policies/threshold.py"},
    "pickle": set(),
}


def modules() -> list[str]:
    return [str(p.relative_to(ROOT)) for package in MAY_IMPORT for p in sorted((ROOT / package).rglob("*.py"))]


def imported(path: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", modules())
def test_imports_flow_one_way(path: str) -> None:
    package = path.split("/", maxsplit=1)[0]
    ours = set(imported(path)) & set(MAY_IMPORT)
    assert ours <= MAY_IMPORT[package]


@pytest.mark.parametrize(("library", "doors"), DOORS.items())
def test_a_library_is_imported_at_its_door_only(library: str, doors: set[str]) -> None:
    assert {path for path in modules() if library in set(imported(path))} <= doors


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
