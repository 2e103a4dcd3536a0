"""Attribute agreement studies: known parts, the people who rate them in several trials, and what they said."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.ledger.chain import append
from daemon.ledger.ledger import Ledger
from policies.verdict import Label, Verdict


@dataclass(frozen=True)
class Study:
    """A study: who planned it and when, how often each operator sees each part, and the parts' labels by frame."""

    id: int
    at_ms: int
    who: str
    name: str
    trials: int
    operators: tuple[str, ...]
    truth: dict[str, Label]

    def order(self, operator: str, trial: int) -> list[str]:
        """The frames in the order in which an operator sees them in a trial: another one each time, and always the
        same."""
        frames = sorted(self.truth)
        random.Random(f"{self.id}|{operator}|{trial}").shuffle(frames)  # noqa: S311  # no secret: an order
        return frames


@dataclass(frozen=True)
class Rating:
    """What an operator said of a part in a trial, the first of which is 1."""

    operator: str
    trial: int
    frame_id: str
    label: Label


def known_frames(ledger: Ledger, label: Label) -> list[str]:
    """The frames whose images are kept and of which all answers that stand say `label`: those about which most people
    have spoken first, then the newest."""
    rows = ledger.database.rows(
        "SELECT frame_id FROM standing JOIN line_frames USING (frame_id) WHERE kept IS NOT NULL AND score IS NOT NULL"
        " GROUP BY frame_id HAVING min(standing.verdict) = ?1 AND max(standing.verdict) = ?1"
        " ORDER BY count(DISTINCT operator) DESC, seq DESC",
        label,
    )
    return [row["frame_id"] for row in rows]


def plan(
    ledger: Ledger, at_ms: int, who: str, name: str, trials: int, operators: Sequence[str], truth: dict[str, Label]
) -> Study:
    """Record a study."""
    people = sorted(set(operators))
    with ledger.database.write() as db:
        number = db.execute(
            "INSERT INTO studies (at_ms, who, name, trials, operators, truth) VALUES (?, ?, ?, ?, ?, ?)",
            (at_ms, who, name, trials, json.dumps(people), json.dumps(truth)),
        ).lastrowid
        detail = {"study": number, "trials": trials, "operators": people, "parts": len(truth)}
        append(db, at_ms, "study", who, name, detail)
    planned = study(ledger, number or 0)
    assert planned is not None  # noqa: S101  # it was written a moment ago
    return planned


def study(ledger: Ledger, number: int) -> Study | None:
    """The study of this number."""
    found = [one for one in studies(ledger) if one.id == number]
    return found[0] if found else None


def studies(ledger: Ledger) -> list[Study]:
    """All studies, newest first."""
    rows = ledger.database.rows("SELECT * FROM studies ORDER BY id DESC")
    return [
        Study(
            id=row["id"],
            at_ms=row["at_ms"],
            who=row["who"],
            name=row["name"],
            trials=row["trials"],
            operators=tuple(json.loads(row["operators"])),
            truth={frame_id: Label(label) for frame_id, label in json.loads(row["truth"]).items()},
        )
        for row in rows
    ]


def rate(ledger: Ledger, number: int, rating: Rating, at_ms: int) -> None:
    """Record a rating; the first of each operator, trial and part stands."""
    with ledger.database.write() as db:
        db.execute(
            "INSERT OR IGNORE INTO ratings VALUES (?, ?, ?, ?, ?, ?)",
            (number, rating.operator, rating.trial, rating.frame_id, rating.label, at_ms),
        )


def ratings(ledger: Ledger, number: int) -> list[Rating]:
    """All ratings of a study, by operator, trial and part."""
    rows = ledger.database.rows(
        "SELECT operator, trial, frame_id, verdict FROM ratings WHERE study = ? ORDER BY operator, trial, frame_id",
        number,
    )
    return [Rating(row[0], row[1], row[2], Label(row[3])) for row in rows]


def verdicts_of(ledger: Ledger, frames: Sequence[str]) -> dict[str, Verdict]:
    """The line's verdicts on these frames, as far as they are on record."""
    rows = ledger.database.rows(
        "SELECT frame_id, verdict FROM frames WHERE frame_id IN (SELECT value FROM json_each(?))", json.dumps(frames)
    )
    return {row["frame_id"]: Verdict(row["verdict"]) for row in rows}
