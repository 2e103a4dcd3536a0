"""The line's status for pages and programs: its service, its scene and its troubles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon.console.line import LineView
from daemon.languages.speaking import said
from daemon.learning import lesson
from daemon.learning.reliability import all_distrusted
from daemon.ledger.history import newest_events
from daemon.ledger.review_queue import count_open
from daemon.status import ServiceStatus, service_status
from policies.notices import Action

INSPECTION = "inspection"
BLINDING = {"camera", "redis", "disk"}
SCENE_EVENTS = ("drift", "drift_over", "drift_noticed", "regime", "trust")


@dataclass(frozen=True)
class StatusView:
    """The status of one line, read anew at each call."""

    line: LineView

    def reported(self) -> dict[str, Any]:
        """The service's last report, and whether it still runs."""
        return self.line.state.ledger.service(self.line.settings.schedule.fresh_s)

    def service(self) -> ServiceStatus:
        """The status of the service, by the one rule of readiness (`daemon.status`)."""
        return service_status(self.reported(), redis_answers=self.line.streams.answers())

    def drift(self, limit: int) -> dict[str, Any]:
        """The scene `now`, None where nobody looks at it, and its newest events, newest first."""
        events = newest_events(self.line.state.ledger, SCENE_EVENTS, limit)
        return {
            "now": _scene(self.reported()),
            "told": [{"at_ms": event.at_ms, "kind": event.kind, **event.detail} for event in events],
        }

    def summary(self) -> dict[str, Any]:
        """The service's report, with the other facts that pages show, in words for the reader."""
        reported, head, ledger = self.reported(), self.line.head(), self.line.state.ledger
        unsure = all_distrusted(ledger)
        due = self.line.settings.policy.lesson_after - lesson.unlearned(ledger, head) if head else None
        return {
            **reported,
            "drift": _scene(reported),
            "troubles": [said(one) for one in _troubles(reported)] + [_waiting(*one) for one in unsure.items()],
            "distrusted": {name: said(reason) for name, reason in unsure.items()},
            "waiting": count_open(ledger),
            "head": head.number if head else None,
            "answers_to_lesson": due,
        }


def _scene(reported: dict[str, Any]) -> dict[str, Any] | None:
    """What the service says of the scene; None where it is not running, judges by no version, or gets no usable image:
    what it said last is no word about now."""
    blind = BLINDING & set(reported.get("trouble") or ())
    looks = reported["running"] and reported.get("version") is not None and not blind
    return reported.get("drift") if looks else None


def _waiting(operator: str, reason: str) -> str:
    return said(f"The answers of {operator} wait for a second person: {reason}.")


def _troubles(reported: dict[str, Any]) -> list[str]:
    """The troubles that people at the line should know, in words."""
    trouble: dict[str, str] = reported.get("trouble") or {}
    lines = [f"{what} is away: {error}" for what, error in trouble.items() if what != INSPECTION]
    if INSPECTION in trouble:
        lines.append(f"OK cannot be trusted: {trouble[INSPECTION]}")
    if not reported["running"]:
        lines.insert(0, "The service is not running: no part is judged.")
    if reported.get("version") is None and reported["running"]:
        lines.append("Nothing was taught yet: every part is UNKNOWN.")
    if reported.get("backend_refused"):
        lines.append(f"Torch judges, since the chosen backend was refused: {reported['backend_refused']}")
    scene = _scene(reported) or {}
    cards = [card for card in scene.get("cards", ()) if card["action"] != Action.COMPENSATED]  # nothing is to do
    return lines + [f"{card['cause']}: {card['amount']}, likely {card['reason']}. {card['do']}" for card in cards]
