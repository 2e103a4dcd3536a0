"""A line's day in short: parts are judged, people answer, lessons are learned."""

from __future__ import annotations

from pathlib import Path

from conftest import NOW_MS, frame, untracked
from pictures import png

from daemon.datasets.rendered import Flaw, Scene
from daemon.learning import answers, lesson
from daemon.learning.teach import images_in, teach
from daemon.ledger.records import JudgedFrame, RecordedAnswer
from daemon.service import Service
from memory.version import Version
from policies.admission import Hold

WORN = Scene(wear=1.0, warmth=1.0)


def judge(service: Service, frame_id: str, number: int, scene: Scene = WORN, flaw: Flaw | None = None) -> JudgedFrame:
    return service.engine.judge(frame(frame_id, png(number, scene, flaw)))


def answer(service: Service, frame_id: str, verdict: str, operator: str = "anna") -> RecordedAnswer | None:
    return answers.record(service.engine.ledger, answers.answer(frame_id, verdict, operator), NOW_MS)


def learn(service: Service) -> Version | Hold:
    return lesson.learn(service.engine, service.store, "test")


def confirm(service: Service, count: int = 3, first: int = 600) -> None:
    for number in range(first, first + count):
        judge(service, f"g{number}", number)
        answer(service, f"g{number}", "good")


def teach_from(service: Service, folder: Path):  # type: ignore[no-untyped-def]  # the return type is teach's own
    return teach(images_in(folder), service.engine, service.store, "x", untracked)
