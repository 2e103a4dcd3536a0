"""What pages and programs read of the line's state: its service, its scene and its troubles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon import clock
from daemon.console.line import LineView
from daemon.learning import lesson
from daemon.ledger.history import newest_events
from daemon.ledger.review_queue import count_open
from daemon.status import ServiceStatus, service_status

SCENE_EVENTS = ("drift", "drift_over", "drift_noticed", "regime", "trust")


@dataclass(frozen=True)
class StatusView:
    """The state of one line, read anew at each call."""

    line: LineView

    def reported(self) -> dict[str, Any]:
        """What the service last reported of itself, and whether it still runs."""
        return self.line.state.ledger.service(clock.unix_ms(), self.line.settings.schedule.fresh_ms)

    def service(self) -> ServiceStatus:
        """Whether frames are judged, as everybody who is asked tells it."""
        return service_status(self.reported(), self.line.streams)

    def drift(self, limit: int) -> dict[str, Any]:
        """How the scene is now, and what was told of it, newest first."""
        events = newest_events(self.line.state.ledger, SCENE_EVENTS, limit)
        return {
            "now": self.reported().get("drift"),
            "told": [{"at_ms": event.at_ms, "kind": event.kind, **event.detail} for event in events],
        }

    def summary(self) -> dict[str, Any]:
        """What the service reported with what a page needs beside it."""
        reported, head, ledger = self.reported(), self.line.head(), self.line.state.ledger
        due = self.line.settings.policy.lesson_after - lesson.unlearned(ledger, head) if head else None
        return {
            **reported,
            "troubles": _troubles(reported),
            "waiting": count_open(ledger),
            "head": head.number if head else None,
            "answers_to_lesson": due,
        }


def _troubles(reported: dict[str, Any]) -> list[str]:
    """What people at the line should know, in words."""
    lines = [f"{what} is away: {error}" for what, error in (reported.get("trouble") or {}).items()]
    if not reported["running"]:
        lines.insert(0, "The service is not running: no part is judged.")
    if reported.get("version") is None and reported["running"]:
        lines.append("Nothing was taught yet: every part is UNKNOWN.")
    if reported.get("backend_refused"):
        lines.append(f"Torch judges, since the chosen backend was refused: {reported['backend_refused']}")
    cards = (reported.get("drift") or {}).get("cards", ())
    return lines + [f"{card['cause']}: {card['amount']}, likely {card['reason']}. {card['do']}" for card in cards]
