"""The report: one page that needs nothing from elsewhere."""

from __future__ import annotations

import re

from conftest import NOW_MS, frame
from pictures import png

from daemon.datasets.rendered import Flaw
from daemon.learning import answers
from daemon.reporting import report
from daemon.service import Service


def test_the_report_is_one_self_contained_page(service: Service) -> None:
    for number in range(4):
        service.engine.judge(frame(f"ok{number}", png(504 + number)))
    service.engine.judge(frame("<b>burr</b>", png(510, flaw=Flaw.BURR)))
    service.engine.judge(frame("broken", b"no image"))
    answers.record(service.engine.ledger, answers.answer("<b>burr</b>", "defect", "anna"), NOW_MS)
    page = report.render(service.engine, service.store, "Test")
    assert "<b>burr</b>" not in page, "names are escaped"
    assert "&lt;b&gt;burr" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "nothing is fetched from elsewhere"
    assert page.count("data:image/jpeg") >= 1
    assert "untrained, random weights" in page
    assert page.count("<circle") == 5


def test_a_report_of_nothing_is_no_crash(untaught: Service) -> None:
    assert "frames judged" in report.render(untaught.engine, untaught.store, "Empty")
