"""Operators' reliability: known parts are put among the questions, and distrusted answers wait for a second person."""

from __future__ import annotations

from dataclasses import replace

from daemon.ledger.frame_list import ListedFrame
from daemon.ledger.ledger import Ledger
from daemon.ledger.operators import answers_of_each, answers_since_check, known_parts, track_record
from policies.reliability import check_due, distrust, wanted


def distrusted(ledger: Ledger, operator: str) -> str:
    """Why this operator's answers wait for a second person, in words; empty where they count."""
    return distrust(track_record(ledger, operator))


def all_distrusted(ledger: Ledger) -> dict[str, str]:
    """The operators whose answers wait for a second person, each with the reason."""
    reasons = {operator: distrusted(ledger, operator) for operator in answers_of_each(ledger)}
    return {operator: reason for operator, reason in reasons.items() if reason}


def due_check(ledger: Ledger, operator: str, every: int) -> ListedFrame | None:
    """The known part that this operator is to be shown among the questions; None where none is due or known.

    It stays the same until it is answered, and looks like any other question.
    """
    record = track_record(ledger, operator)
    if not check_due(answers_since_check(ledger, operator, every), record, every):
        return None
    known = known_parts(ledger, operator)
    part = known.get(wanted(record)) or next(iter(known.values()), None)
    return replace(part, asked=True) if part else None
