"""What a lesson was taught and what its version made of the next parts, as the pages and the report tell it."""

from __future__ import annotations

from conftest import frame
from lessons import answer, confirm, judge, judge_by_newest, learn

from daemon import clock
from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.lesson_outcomes import Outcome, answers_in, held_lessons, outcome
from daemon.ledger.records import Span
from daemon.reporting import report
from daemon.service import Service
from memory.version import Version


def test_a_version_is_told_by_what_people_called_the_parts_that_it_flagged(service: Service) -> None:
    first = service.store.head()
    assert first is not None
    judge(service, "calm", 504, STEADY)
    judge(service, "burr", 505, STEADY, Flaw.BURR)
    judge(service, "open", 506, STEADY, Flaw.BURR)
    service.engine.judge(frame("no image", b"torn"))
    confirm(service, 2)
    answer(service, "burr", "good", "bert")
    answer(service, "burr", "defect", "anna")
    told = outcome(service.engine.ledger, first)
    flagged = [judge(service, name, 0).verdict != "OK" for name in ("g600", "g601")]
    assert told == Outcome(5, 2 + sum(flagged), sum(flagged), 1)


def test_each_version_is_told_by_its_own_parts(service: Service) -> None:
    first = service.store.head()
    assert first is not None
    confirm(service, 3)
    version = learn(service)
    assert isinstance(version, Version)
    judge_by_newest(service)
    judge(service, "next", 504, STEADY)
    ledger = service.engine.ledger
    assert outcome(ledger, version).judged == 1
    assert outcome(ledger, first).judged == 3
    span = Span(first.feedback_through, version.feedback_through)
    made_ms = clock.from_iso(version.created_at)
    assert answers_in(ledger, span, made_ms) == {"good": 3}
    (one, *_) = ledger.database.rows("SELECT id FROM teaching WHERE id > ? ORDER BY id", span.after)
    ledger.revoke([one["id"]], made_ms + 1, "eva", "wrong")
    assert answers_in(ledger, span, made_ms) == {"good": 3}, "what was taken back since was learned"
    assert answers_in(ledger, span, made_ms + 1) == {"good": 2}
    assert f'<td class="n">{version.number}</td>' in report.render(service.engine, service.store, "Test")


def test_a_lesson_that_makes_no_version_is_told_with_its_reason(service: Service) -> None:
    held = learn(service)
    assert not isinstance(held, Version)
    (told,) = held_lessons(service.engine.ledger, 20)
    assert (told.reason, told.base) == (held.reason, 1)
