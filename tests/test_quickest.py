"""`extractor.backend: auto`: the quickest backend on this PC judges, where it says what torch says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from conftest import details, frame, make_service, start_line
from hypothesis import given
from hypothesis import strategies as st
from pictures import png
from stand_ins import StandIn, nearly, noisy

from daemon import build
from daemon.cli import doctor
from daemon.inference import quickest
from daemon.ledger.ledger import Ledger
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory import backends
from memory.backends import BFLOAT16, INT8, OPENVINO, TORCH
from memory.errors import DriftlineError, StoreError
from memory.extract import Extractor
from policies.quickest import EXACTEST_FIRST, NEARLY, order

QUICK = {TORCH: 12.0, OPENVINO: 9.0, BFLOAT16: 7.0, INT8: 5.0}


class Libraries:
    """Stand-ins for all of OpenVINO's backends: which of them agree, which fail, and the ms that each takes."""

    def __init__(self, extractor: Extractor, patch: pytest.MonkeyPatch) -> None:
        self.ms: Mapping[str, float] = QUICK
        self.wrong: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.measured: list[list[str]] = []
        self._reference = extractor.backend
        patch.setattr(backends, "compiled", self.compiled)
        patch.setattr(build, "installed", lambda _: True)
        patch.setattr(quickest, "_median_ms", self.times)

    def compiled(self, name: str, *_: object) -> StandIn:
        if name in self.failing:
            raise self.failing[name]
        return StandIn(self._reference, noisy if name in self.wrong else nearly, f"{name} 1", name)

    def times(self, judges: Mapping[str, object], *_: object) -> dict[str, float]:
        self.measured.append(list(judges))
        return {name: self.ms[name] for name in judges}


@pytest.fixture
def libraries(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> Libraries:
    """OpenVINO, installed and quick."""
    return Libraries(extractor, monkeypatch)


@pytest.fixture
def auto(settings: Settings) -> Settings:
    """The line's settings as they are where nobody chose a backend."""
    return with_backend(settings, "auto")


@pytest.fixture
def start(taught: Path, auto: Settings, extractor: Extractor, wire: RedisStreams) -> Callable[[], Service]:
    """Starts the line's service, and starts it again."""

    def started() -> Service:
        if not auto.state_dir.exists():
            return start_line(taught, auto, extractor, wire)
        again = make_service(auto, extractor, wire)
        again.start()
        return again

    return started


def with_backend(settings: Settings, backend: str, device: str = "cpu") -> Settings:
    changed = {"backend": backend, "device": device}
    return settings.model_copy(update={"extractor": settings.extractor.model_copy(update=changed)})


def compared(service: Service) -> list[object]:
    return [each["backend"] for each in details(service.engine.ledger, "backend")]


def found(settings: Settings) -> doctor.Finding:
    (finding,) = (each for each in doctor.examine(settings) if each.check == "backend")
    return finding


times = st.dictionaries(st.sampled_from(EXACTEST_FIRST), st.floats(0.1, 1000), min_size=1)


@given(times)
def test_whoever_is_asked_next_is_nearly_the_quickest_of_those_left(ms: dict[str, float]) -> None:
    ordered = order(ms)
    assert sorted(ordered) == sorted(ms)
    for place, name in enumerate(ordered):
        left = ordered[place:]
        assert ms[name] <= NEARLY * min(ms[each] for each in left)
        quicker = [each for each in left if EXACTEST_FIRST.index(each) < EXACTEST_FIRST.index(name)]
        assert all(ms[each] > NEARLY * min(ms[other] for other in left) for each in quicker)


@pytest.mark.parametrize(
    ("ms", "ordered"),
    [
        (QUICK, (INT8, BFLOAT16, OPENVINO, TORCH)),
        ({TORCH: 10.9, OPENVINO: 10.0}, (TORCH, OPENVINO)),
        ({TORCH: 11.1, OPENVINO: 10.0}, (OPENVINO, TORCH)),
        ({TORCH: 12.0, BFLOAT16: 14.0, INT8: 5.0}, (INT8, TORCH, BFLOAT16)),  # a processor that only emulates bfloat16
    ],
)
def test_what_is_as_quick_and_more_exact_goes_first(ms: dict[str, float], ordered: tuple[str, ...]) -> None:
    assert order(ms) == ordered


def test_the_quickest_judges(libraries: Libraries, start: Callable[[], Service], auto: Settings) -> None:
    service = start()
    told = service.status()
    assert (told["backend"], told["backend_refused"]) == (f"{INT8} 1", None)
    assert told["backend_choice"] == {"ms": QUICK, "refused": {}}
    assert service.engine.judge(frame("f", png(504))).backend == f"{INT8} 1"
    assert compared(service) == [f"{INT8} 1"]  # what is slower need not be compared
    times = f"{INT8} 5.0 ms, {BFLOAT16} 7.0 ms, {OPENVINO} 9.0 ms, {TORCH} 12.0 ms"
    assert found(auto).found == f"{INT8} 1, chosen for version 1; for a part {times}"
    assert libraries.measured == [[TORCH, OPENVINO, BFLOAT16, INT8]]


def test_the_next_judges_where_the_quickest_is_refused(
    libraries: Libraries, start: Callable[[], Service], auto: Settings
) -> None:
    libraries.wrong = {INT8}
    service = start()
    told = service.status()
    assert (told["backend"], told["backend_refused"]) == (f"{BFLOAT16} 1", None)
    refused = told["backend_choice"]["refused"]  # type: ignore[index]  # a status is plain JSON
    assert list(refused) == [INT8]
    assert "allowed" in refused[INT8] or "judged otherwise" in refused[INT8]
    assert f"{INT8} refused: {refused[INT8]}" in found(auto).found
    assert found(auto).level == doctor.Severity.OK
    assert compared(service) == [f"{INT8} 1", f"{BFLOAT16} 1"]
    assert compared(start()) == [f"{INT8} 1", f"{BFLOAT16} 1"]


def test_torch_judges_where_every_quicker_one_is_refused(
    libraries: Libraries, start: Callable[[], Service], extractor: Extractor, auto: Settings
) -> None:
    libraries.wrong = {INT8, BFLOAT16, OPENVINO}
    assert start().status()["backend"] == extractor.backend.description
    assert found(auto).found.startswith("torch, chosen for version 1")


def test_torch_judges_where_it_is_the_quickest(
    libraries: Libraries, start: Callable[[], Service], extractor: Extractor
) -> None:
    libraries.ms = QUICK | {TORCH: 2.0}
    service = start()
    assert service.status()["backend"] == extractor.backend.description
    assert compared(service) == []


def test_it_is_measured_once_and_again_on_another_processor(
    libraries: Libraries, start: Callable[[], Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    libraries.ms = QUICK | {BFLOAT16: 1.0}
    assert start().status()["backend"] == f"{INT8} 1"
    monkeypatch.setattr(quickest, "processor", lambda: "another")
    service = start()
    assert service.status()["backend"] == f"{BFLOAT16} 1"
    measured = details(service.engine.ledger, "backends_measured")
    assert [each["ms"][INT8] < each["ms"][BFLOAT16] for each in measured] == [True, False]
    assert len(libraries.measured) == 2


def test_it_stays_for_what_is_learned(libraries: Libraries, start: Callable[[], Service]) -> None:
    service = start()
    model = service.store.load(service.store.version(1))
    before = service.engine.select_backend(model).extractor
    assert service.engine.select_backend(model).extractor is before  # neither compiled nor measured again
    assert len(libraries.measured) == 1


def test_a_backend_that_cannot_be_made_is_left_out_and_told(libraries: Libraries, start: Callable[[], Service]) -> None:
    bare = DriftlineError(expected="a processor that computes in bfloat16", came="an old one", do="choose another")
    libraries.failing = {INT8: RuntimeError("unsupported operation"), BFLOAT16: bare}
    service = start()
    assert service.status()["backend"] == f"{OPENVINO} 1"
    (event,) = details(service.engine.ledger, "backends_measured")
    assert event["failed"][INT8] == "RuntimeError: unsupported operation"
    assert "an old one" in event["failed"][BFLOAT16]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unsupported"),
        MemoryError(),
        PermissionError(13, "Permission denied"),
        ModuleNotFoundError("No module named 'nncf'"),
        DriftlineError(expected="a processor that computes in bfloat16", came="another", do="choose another"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_was_measured_and_cannot_be_made_any_more_stops_no_start(
    error: Exception, libraries: Libraries, start: Callable[[], Service]
) -> None:
    start()
    libraries.failing = {INT8: error}
    told = start().status()
    assert told["backend"] == f"{BFLOAT16} 1"
    assert list(told["backend_choice"]["refused"]) == [INT8]  # type: ignore[index]  # as above


def test_a_backend_that_fails_when_it_computes_is_left_out(
    libraries: Libraries, start: Callable[[], Service], extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = libraries.compiled

    def without_numbers(name: str, *rest: object) -> StandIn:
        whole = made(name, *rest)
        return StandIn(extractor.backend, lambda patches: patches * np.nan, name, name) if name == INT8 else whole

    monkeypatch.setattr(backends, "compiled", without_numbers)
    told = start().status()
    assert told["backend"] == f"{BFLOAT16} 1"
    assert "NaN" in told["backend_choice"]["refused"][INT8]  # type: ignore[index]  # as above


def test_memory_that_ran_out_is_no_word_on_a_backend(libraries: Libraries, start: Callable[[], Service]) -> None:
    libraries.failing = {INT8: RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 byte")}
    service = start()
    assert str(service.status()["backend"]).startswith("torch")
    libraries.failing = {}
    assert start().status()["backend"] == f"{INT8} 1"


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("write", ["set_status", "certify"])
def test_a_ledger_that_the_disk_refuses_stops_no_start(
    write: str, start: Callable[[], Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Ledger, write, full)
    told = start().status()
    assert str(told["backend"]).startswith("torch")
    assert "disk is full" in str(told["backend_choice"])


def test_going_back_to_images_of_another_shape_measures_nothing_anew(
    libraries: Libraries, start: Callable[[], Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    for processor in ("one", "other", "one"):
        monkeypatch.setattr(quickest, "processor", lambda name=processor: name)
        start()
    assert len(libraries.measured) == 2


@pytest.mark.parametrize("module", ["openvino", "nowhere"])
def test_an_empty_folder_is_no_library(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "left_over").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(backends.LIBRARIES, OPENVINO, ("left_over" if module == "openvino" else module, "openvino"))
    assert not backends.installed(OPENVINO)


def test_a_full_disk_stops_no_line_and_is_measured_again(
    libraries: Libraries, start: Callable[[], Service], extractor: Extractor
) -> None:
    full = StoreError(expected="to write", came="No space left on device", do="free disk space")
    libraries.failing = {OPENVINO: full}
    service = start()
    told = service.status()
    assert told["backend"] == extractor.backend.description
    assert "No space left" in told["backend_choice"]["refused"]["auto"]  # type: ignore[index]  # as above
    assert details(service.engine.ledger, "backends_measured") == []
    libraries.failing = {}
    assert start().status()["backend"] == f"{INT8} 1"


def test_a_line_that_kept_no_images_is_told_to_teach_again(
    libraries: Libraries, start: Callable[[], Service], extractor: Extractor
) -> None:
    service = start()
    model = service.store.load(service.store.version(1))
    for name in model.snapshot.calibration_set.samples:
        service.engine.kept.drop(service.engine.kept.name(f"taught {name}"))
    service.engine.ledger.set_status(quickest.MEASURED, {})
    told = start().status()
    assert told["backend"] == extractor.backend.description
    assert "teach again" in told["backend_choice"]["refused"]["auto"]  # type: ignore[index]  # as above
    assert len(libraries.measured) == 1


@pytest.mark.usefixtures("libraries")
def test_before_anything_was_measured_doctor_says_so(auto: Settings) -> None:
    assert found(auto).found == "auto, to be chosen by the next `teach` or `run`"


class Clock:
    """A clock that goes on while somebody judges."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.turns: list[str] = []

    def judge(self, name: str, first_s: float, then_s: float) -> Callable[[], None]:
        def judged() -> None:
            self.now_s += then_s if name in self.turns else first_s
            self.turns.append(name)

        return judged


def test_parts_are_timed_in_turns_without_the_first_ones() -> None:
    clock = Clock()
    judges = {"one": clock.judge("one", 0.9, 0.005), "other": clock.judge("other", 0.001, 0.007)}
    assert quickest._median_ms(judges, lambda: clock.now_s) == pytest.approx({"one": 5, "other": 7})
    assert clock.turns == ["one", "other"] * (1 + quickest.ROUNDS)


def test_parts_that_take_long_are_timed_less_often() -> None:
    clock = Clock()
    assert quickest._median_ms({"one": clock.judge("one", 2, 2)}, lambda: clock.now_s) == pytest.approx({"one": 2000})
    assert len(clock.turns) == 6  # 10 s are over


@pytest.mark.parametrize(
    ("backend", "device", "there", "names"),
    [
        ("auto", "auto", True, (OPENVINO, BFLOAT16, INT8)),
        ("auto", "cpu", True, (OPENVINO, BFLOAT16, INT8)),
        ("auto", "cuda:1", True, ()),
        ("auto", "cpu", False, ()),
        (TORCH, "cpu", True, ()),
        ("onnx", "cpu", False, ("onnx",)),
    ],
)
def test_which_backends_may_judge(
    backend: str, device: str, there: bool, names: tuple[str, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "installed", lambda _: there)
    assert build.accelerated_backends(with_backend(settings, backend, device)) == names


@pytest.mark.slow
def test_the_real_ones_are_measured_and_one_judges(taught: Path, auto: Settings, wire: RedisStreams) -> None:
    service = start_line(taught, auto, build.extractor(auto), wire)
    (event,) = details(service.engine.ledger, "backends_measured")
    assert {*event["ms"], *event["failed"]} == {TORCH, OPENVINO, BFLOAT16, INT8}
    assert {*event["failed"]} <= {BFLOAT16}  # which not every processor can do
    active = service.engine.active
    assert active is not None
    choice = active.scorer.choice
    assert choice is not None
    assert active.scorer.extractor.backend.name == next(each for each in order(choice.ms) if each not in choice.refused)
    assert service.engine.judge(frame("f", png(504))).verdict == "OK"
