"""The pages' templates: where they lie, and how they write times."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from fastapi.templating import Jinja2Templates

from daemon.clock import minute, to_the_minute

templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.autoescape = True  # by itself it escapes what ends in .html alone, and these end in .html.j2


def route(request: Request) -> str:
    """The path that a request asks for, below the console's own."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope["root_path"])


def readable_time(at_ms: int) -> str:
    """A time for people."""
    return f"{minute(at_ms)} UTC"


templates.env.filters["clock"] = readable_time
templates.env.filters["minute"] = to_the_minute
