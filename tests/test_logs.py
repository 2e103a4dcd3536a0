"""The log: every line of a judged frame names it, machines get one object a line, files stay within their room."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from daemon.service import Service
from daemon.settings.logs import FILES, log_to


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    for handler in logging.root.handlers:
        if handler not in handlers:
            handler.close()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_judged_frame_s_lines_name_frame_part_and_version(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "line.log"
    log_to("json", file)
    service.streams.send("frames", {"frame_id": "f", "part_id": "4711", "image": b"no image"})
    service.turn(0)
    (line,) = [each for each in lines(file) if each["event"] == "frame"]
    assert (line["frame"], line["part"], line["version"]) == ("f", "4711", 1)
    assert (line["level"], line["verdict"]) == ("info", "UNKNOWN")
    structlog.get_logger().info("later")
    assert "frame" not in lines(file)[-1], "it ends with the frame"


def test_errors_of_ours_and_of_libraries_are_objects_with_their_traces(tmp_path: Path) -> None:
    file, secret = tmp_path / "log", "hidden in a variable"
    log_to("json", file)
    for log in (structlog.get_logger(), logging.getLogger("apscheduler")):
        try:
            raise ValueError(f"{len(secret)} letters")
        except ValueError:
            log.exception("100 % broken")
    for line in lines(file):
        assert (line["event"], line["level"]) == ("100 % broken", "error")
        assert "ValueError: 20 letters" in str(line["exception"])
        assert secret not in json.dumps(line)


def test_for_people_a_line_is_text(tmp_path: Path) -> None:
    log_to("console", tmp_path / "log")
    structlog.get_logger().warning("a part", number=3)
    assert "a part" in (tmp_path / "log").read_text()
    assert "number=3" in (tmp_path / "log").read_text()


def test_files_stay_within_their_room(tmp_path: Path) -> None:
    log_to("json", tmp_path / "log", most_mb=0.05)
    for number in range(2_000):
        structlog.get_logger().info("something", number=number)
    files = list(tmp_path.iterdir())
    assert len(files) == FILES
    assert sum(file.stat().st_size for file in files) <= 50_000
    assert lines(tmp_path / "log")[-1]["number"] == 1_999


def test_what_is_below_the_level_is_not_logged(tmp_path: Path) -> None:
    log_to("json", tmp_path / "log", level=logging.ERROR)
    structlog.get_logger().info("nothing")
    structlog.get_logger().error("something")
    assert [line["event"] for line in lines(tmp_path / "log")] == ["something"]
