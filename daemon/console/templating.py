"""The pages' templates: where they lie, and how they write times."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from fastapi.templating import Jinja2Templates
from markupsafe import Markup

from daemon.clock import from_iso, iso, minute
from daemon.languages.speaking import IN_TEMPLATES, said

templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.autoescape = True  # by itself it escapes what ends in .html alone, and these end in .html.j2


def route(request: Request) -> str:
    """The path that a request asks for, below the console's own."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope["root_path"])


def readable_time(at: int | str) -> Markup:
    """A time (Unix ms, or ISO 8601) for people: in UTC, which says so, until the page's script writes it as the
    browser's clock has it."""
    at_ms = from_iso(at) if isinstance(at, str) else at
    return Markup('<time datetime="{}">{} UTC</time>').format(iso(at_ms), minute(at_ms))


templates.env.filters |= {"clock": readable_time, "said": said}
templates.env.globals |= IN_TEMPLATES
