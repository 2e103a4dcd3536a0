"""A detector that is trained again: a process of its own, the gate, and what happens meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import NOW_MS, frame, make_service, untracked
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.inference.shadow import LessonTicket
from daemon.learning import answers, lesson, retraining, trials
from daemon.learning.rollback import roll_back
from daemon.learning.teach import images_in, teach
from daemon.learning.training import RetrainingFailed, Training
from daemon.ledger.history import newest_events
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.detector import PATCH_BANK, Retrained
from memory.extract import Extractor
from memory.learners import learner_of
from memory.simplenet import training
from memory.simplenet.detector import LAYER, SIMPLENET, SimpleNet, as_arrays
from memory.version import Version
from policies.admission import Hold

pytestmark = pytest.mark.usefixtures("trained_briefly")


@pytest.fixture
def line(settings: Settings, extractor: Extractor, wire: RedisStreams, good_parts: Path) -> Service:
    """A line that has learned a good part and a defect since its discriminator was trained."""
    memory = settings.memory.model_copy(update={"detector": SIMPLENET})
    taught = make_service(settings.model_copy(update={"memory": memory}), extractor, wire)
    teach(images_in(good_parts), taught.engine, taught.store, "pytest", untracked)
    taught.start()
    shown = {"good": png(5, Scene(wear=1.0)), "like": png(6, Scene(wear=1.0)), "burr": png(501, STEADY, Flaw.BURR)}
    for name, data in shown.items():
        taught.engine.judge(frame(name, data))
        answers.record(taught.engine.ledger, answers.answer(name, "defect" if name == "burr" else "good", "a"), NOW_MS)
    assert isinstance(lesson.learn(taught.engine, taught.store, "test"), Version)
    return taught


def trained_here(line: Service) -> retraining.Retraining:
    """What the process would give."""
    model = line.store.current()
    learner = learner_of(SIMPLENET)
    assert isinstance(learner, Retrained)
    return retraining.Retraining(model.version.number, learner.retrain(model.snapshot.detector, 0))


@pytest.mark.slow
def test_a_process_of_its_own_trains_and_the_gate_admits(line: Service) -> None:
    before = line.store.current()
    line.retrain()
    after = line.store.current()
    assert after.version.number == before.version.number + 1
    assert (after.version.cause, after.version.who, after.version.added) == ("retraining", "schedule", ())
    assert (after.version.gate["found"], after.version.gate["trained_on"]) == (1, before.version.number)
    assert line.engine.active is not None
    assert line.engine.active.model.version.sha256 == after.version.sha256
    assert retraining.due(line.engine) is None
    assert line.engine.judge(frame("again", png(502, STEADY, Flaw.BURR))).verdict == "NG"
    line.retrain()
    assert line.store.current().version.number == after.version.number, "nothing is new"
    assert not list(line.engine.settings.state_dir.glob("teach-*"))
    back = roll_back(line.store, line.engine.ledger, before.version.number, "eva", NOW_MS)
    line.notice_versions()
    assert retraining.due(line.engine) is None, "what was undone does not come back by itself"
    restored = line.store.load(back).snapshot.detector
    assert isinstance(restored, SimpleNet)
    assert isinstance(before.snapshot.detector, SimpleNet)
    assert restored.discriminator.trained_on == before.snapshot.detector.discriminator.trained_on


def test_the_gate_holds_a_network_that_would_forget_a_defect(line: Service) -> None:
    """It tells good patches from others, and holds the defect for a good one."""
    head = line.store.current()
    detector, (defect,) = head.snapshot.detector, head.snapshot.confirmed_defects.defects
    assert isinstance(detector, SimpleNet)
    poisoned = np.concatenate([detector.bank.good.vectors, np.repeat(defect.patches, 400, axis=0)])
    blind = retraining.Retraining(head.version.number, as_arrays(training.trained(poisoned, 0)))
    assert retraining.due(line.engine) is not None
    held = retraining.propose(line.engine, line.store, blind)
    assert isinstance(held, Hold)
    assert "would be missed" in held.reason
    assert line.store.current().version.number == head.version.number
    (event,) = newest_events(line.engine.ledger, ("hold",), 5)
    assert event.detail["reason"] == held.reason
    assert retraining.due(line.engine) is None, "the same training would give the same"


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_network_that_tells_nothing_apart_is_held_without_any_defect(line: Service, value: float) -> None:
    trained = trained_here(line)
    broken = {name: np.full_like(a, value) if name.startswith(LAYER) else a for name, a in trained.arrays.items()}
    held = retraining.propose(line.engine, line.store, retraining.Retraining(trained.base, broken))
    assert isinstance(held, Hold)
    assert "cannot be used" in held.reason


@pytest.mark.parametrize("otherwise", ["teach", "rollback"])
def test_what_was_trained_on_something_else_is_held(line: Service, good_parts: Path, otherwise: str) -> None:
    trained = trained_here(line)
    if otherwise == "teach":
        teach(images_in(good_parts), line.engine, line.store, "eva", untracked)
    else:
        roll_back(line.store, line.engine.ledger, 1, "eva", NOW_MS)
    head = line.store.current().version.number
    held = retraining.propose(line.engine, line.store, trained)
    assert isinstance(held, Hold)
    assert "meanwhile" in held.reason
    assert line.store.current().version.number == head


def test_it_waits_for_a_trial(line: Service) -> None:
    assert retraining.due(line.engine) is not None
    number = line.store.current().version.number
    trials.begin(line.engine.ledger, LessonTicket(number, "admission", 99, 0))
    assert retraining.due(line.engine) is None


def test_what_a_lesson_taught_meanwhile_stays(line: Service) -> None:
    trained = trained_here(line)
    line.engine.judge(frame("later", png(7, Scene(wear=0.9))))
    line.engine.judge(frame("later too", png(8, Scene(wear=0.9))))
    for name in ("later", "later too"):
        answers.record(line.engine.ledger, answers.answer(name, "good", "a"), NOW_MS)
    learned = lesson.learn(line.engine, line.store, "test")
    assert isinstance(learned, Version)
    version = retraining.propose(line.engine, line.store, trained)
    assert isinstance(version, Version)
    assert (version.parent, version.gate["trained_on"]) == (learned.number, trained.base)
    assert line.store.load(version).snapshot.detector.samples == line.store.load(learned).snapshot.detector.samples
    assert retraining.due(line.engine) is not None, "what came since is trained next time"


@pytest.mark.parametrize("width", [0, 3])
def test_a_network_that_does_not_fit_any_more_is_held(line: Service, width: int) -> None:
    arrays = {name: array[..., :width] for name, array in trained_here(line).arrays.items()}
    held = retraining.propose(line.engine, line.store, retraining.Retraining(2, arrays))
    assert isinstance(held, Hold)
    assert "cannot be used" in held.reason


def test_another_kind_that_was_taught_meanwhile_stays(line: Service, good_parts: Path) -> None:
    trained = trained_here(line)
    memory = line.engine.settings.memory.model_copy(update={"detector": PATCH_BANK})
    line.engine.settings = line.engine.settings.model_copy(update={"memory": memory})
    version = teach(images_in(good_parts), line.engine, line.store, "eva", untracked).version
    line.notice_versions()
    assert retraining.train(line.engine, line.training, line.stopping) is None
    assert isinstance(retraining.propose(line.engine, line.store, trained), Hold)
    assert line.store.current().version.number == version.number


def test_a_stop_ends_the_training(line: Service) -> None:
    stopping = threading.Event()
    stopping.set()
    assert retraining.train(line.engine, line.training, stopping) is None
    assert not list(line.engine.settings.state_dir.glob("teach-*"))


def test_a_training_that_fails_is_told(line: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RetrainingFailed, match="exit 1"):
        line.retrain()


def test_the_process_yields_to_all_others() -> None:
    asked = "import os; from daemon.learning.trainer import below_all_others as down; down();"
    asked += "print(os.nice(0), os.sched_getscheduler(0), open('/proc/self/oom_score_adj').read())"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["19", str(os.SCHED_IDLE), "1000"]


def state_of(process: int) -> str:
    """As the kernel tells it: R or S where it goes on, T where it stands still."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Training, int]]:
    """A training whose process only waits, and its number."""
    told = tmp_path / "pid"
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho $$ > {told}.new; mv {told}.new {told}; exec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    training, stopping = Training(), threading.Event()
    with ThreadPoolExecutor(1) as other:
        ran = other.submit(training.run, tmp_path, 1, 0, stopping)
        while not told.exists():
            time.sleep(0.01)
        yield training, int(told.read_text())
        stopping.set()
        assert ran.result() is None


def test_the_process_stands_still_while_a_frame_is_judged(sleeper: tuple[Training, int]) -> None:
    training, process = sleeper
    with training.paused():
        while state_of(process) != "T":
            time.sleep(0.01)
    while state_of(process) == "T":
        time.sleep(0.01)


def test_a_process_that_stands_still_ends_where_the_service_stops(sleeper: tuple[Training, int]) -> None:
    """The fixture waits for it."""
    _, process = sleeper
    os.kill(process, signal.SIGSTOP)


def test_a_process_that_stands_still_ends_with_a_killed_service() -> None:
    child = "import time; from daemon.learning.trainer import below_all_others as down; down();"
    child += "print('down', flush=True); time.sleep(600)"
    parent = "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]]);"
    parent += "print(child.pid, flush=True); time.sleep(600)"
    service = subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    said = {service.stdout.readline().strip(), service.stdout.readline().strip()}
    (number,) = said - {"down"}
    os.kill(int(number), signal.SIGSTOP)
    while state_of(int(number)) != "T":
        time.sleep(0.01)
    service.kill()
    service.communicate()  # to the end of what the process could say, which its own end gives
    while Path(f"/proc/{number}").exists() and state_of(int(number)) != "Z":
        time.sleep(0.01)


def test_frames_are_judged_while_the_process_stands_still(line: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    within = []

    @contextmanager
    def paused() -> Iterator[None]:
        within.append("paused")
        yield
        within.append("goes on")

    monkeypatch.setattr(line.training, "paused", paused)
    judge = line.engine.judge
    monkeypatch.setattr(line.engine, "judge", lambda *given: (within.append("judged"), judge(*given))[1])
    line.streams.send("frames", {"frame_id": "1", "image": png(1)})
    line.turn(0)
    assert within == ["paused", "judged", "goes on"]
