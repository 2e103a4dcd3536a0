"""What a console is made of, as its routes are handed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from daemon.console.access import Access
from daemon.console.desk import Desk
from daemon.console.history import History
from daemon.console.line import Line
from daemon.console.news import News


@dataclass(frozen=True)
class Parts:
    """One of each, for one line."""

    line: Line
    history: History
    desk: Desk
    news: News
    access: Access


def parts_of(line: Line, access: Access) -> Parts:
    """The console's parts; nothing is read yet."""
    return Parts(line, History(line), Desk(line), News(line), access)


async def _parts(request: Request) -> Parts:
    found: Parts = request.app.state.parts
    return found


Given = Annotated[Parts, Depends(_parts)]
