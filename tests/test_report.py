"""The report: one page that needs nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from conftest import NOW_MS, frame
from lessons import judge_by_newest, teach_from
from pictures import png

from daemon.datasets.rendered import Flaw
from daemon.learning import answers
from daemon.reporting import report
from daemon.reporting.tile import tile
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


def test_a_wide_part_of_twelve_bits_is_shown_wide_and_as_bright_as_judged(untaught: Service, tmp_path: Path) -> None:
    def deep(number: int, flaw: Flaw | None = None) -> bytes:
        grey = cv2.imdecode(np.frombuffer(png(number, flaw=flaw), np.uint8), cv2.IMREAD_GRAYSCALE)
        wide = cv2.resize(grey, (96, 64)).astype(np.uint32) * 4095 // 255
        return cv2.imencode(".png", wide.astype(np.uint16))[1].tobytes()

    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(deep(number))
    teach_from(untaught, tmp_path)
    judge_by_newest(untaught)
    seen = untaught.engine.judge(frame("burr", deep(510, Flaw.BURR)))
    jpeg = tile(untaught.engine.kept, untaught.store, untaught.engine.settings.source, seen)
    assert jpeg is not None
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    plain = cv2.imdecode(np.frombuffer(png(510, flaw=Flaw.BURR), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == (64, 96, 3)
    assert shown.mean() > 0.8 * plain.mean(), "but for the heat laid over"


def test_a_report_of_nothing_is_no_crash(untaught: Service) -> None:
    assert "frames judged" in report.render(untaught.engine, untaught.store, "Empty")
