"""Operators' reliability: known parts are put among the questions, and distrusted answers wait for a second person."""

from __future__ import annotations

from daemon.ledger.ledger import Ledger
from daemon.ledger.operators import (
    KnownPart,
    answers_since_check,
    known_parts,
    known_parts_shown,
    track_record,
    watched_operators,
)
from policies.reliability import check_due, distrust, wanted


def distrusted(ledger: Ledger, operator: str) -> str:
    """Why this operator's answers wait for a second person, in words; empty where they count."""
    return distrust(track_record(ledger, operator))


def all_distrusted(ledger: Ledger) -> dict[str, str]:
    """The operators whose answers wait for a second person, each with the reason."""
    reasons = {operator: distrusted(ledger, operator) for operator in watched_operators(ledger)}
    return {operator: reason for operator, reason in reasons.items() if reason}


def due_checks(ledger: Ledger, operator: str, every: int) -> list[KnownPart]:
    """The known parts of which this operator is to be shown one among the questions, the fittest first; none where none
    is due."""
    record = track_record(ledger, operator)
    if not check_due(answers_since_check(ledger, operator, every), record, every):
        return []
    label = wanted(known_parts_shown(ledger, operator))
    return sorted(known_parts(ledger, operator), key=lambda known: known.label is not label)
