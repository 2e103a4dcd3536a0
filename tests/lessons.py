"""A line's day in short: parts are judged, people answer, lessons are learned."""

from __future__ import annotations

from pathlib import Path

from conftest import NOW_MS, frame, untracked
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.learning import answers, lesson
from daemon.learning.teach import Taught, images_in, teach
from daemon.ledger.records import JudgedFrame, RecordedAnswer
from daemon.service import Service
from drift.light_tracker import START_FRAMES
from memory.region import Region
from memory.version import Version
from policies.admission import Hold

WORN = Scene(wear=1.0, warmth=1.0)


def judge(service: Service, frame_id: str, number: int, scene: Scene = WORN, flaw: Flaw | None = None) -> JudgedFrame:
    """Judge a rendered part, worn unless another scene is named."""
    return service.engine.judge(frame(frame_id, png(number, scene, flaw)))


def pass_the_start(service: Service) -> None:
    """Judge calm parts until the light is no more taken from single ones."""
    for number in range(700, 700 + START_FRAMES):
        judge(service, f"s{number}", number, STEADY)


def answer(service: Service, frame_id: str, verdict: str, operator: str = "anna") -> RecordedAnswer | None:
    """Record a person's answer; None where it says nothing new."""
    return answers.record(service.engine.ledger, answers.answer(frame_id, verdict, operator), NOW_MS)


def learn(service: Service) -> Version | Hold:
    """Learn what was answered: the new version, or why there is none."""
    return lesson.learn(service.engine, service.store, "test")


def confirm(service: Service, count: int = 3, first: int = 600) -> None:
    """Judge worn parts and confirm each as good."""
    for number in range(first, first + count):
        judge(service, f"g{number}", number)
        answer(service, f"g{number}", "good")


def teach_from(service: Service, folder: Path, region: Region | None = None) -> Taught:
    """Teach a line the good parts of a folder, in a region."""
    return teach(images_in(folder), service.engine, service.store, "x", untracked, region)


def judge_by_newest(service: Service) -> None:
    """Take up the newest version, as the service does by itself."""
    head = service.store.head()
    assert head is not None
    service.engine.activate(service.store.load(head))
