"""The log: lines for people or JSON lines for machines, to stderr or to files of bounded size."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

FILES = 5  # the newest and four older ones
SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def log_to(log_format: str, file: Path | None = None, most_mb: float = 100.0, level: int = logging.INFO) -> None:
    """Log to stderr, so that stdout stays a command's answer, or to a file and four older ones, `most_mb` together.

    What is bound by structlog's contextvars stands on every line: the frame that is judged, its part, the version.
    Other libraries' errors are lines of the same form. Raises OSError where the file cannot be written.
    """
    as_text: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=file is None and sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the other one shows local variables, secrets too
        )
    )
    traces = (structlog.processors.format_exc_info,) if log_format == "json" else ()
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(file, maxBytes=int(most_mb * 1e6 / FILES), backupCount=FILES - 1)
    of_event = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[of_event, *traces, as_text], foreign_pre_chain=SHARED)
    )
    # APScheduler and others log what we already record as events.
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    ours = logging.getLogger("driftline")
    ours.setLevel(level)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: ours,
    )
