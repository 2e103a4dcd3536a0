"""Attribute agreement studies on the console: planned by an engineer, rated blindly by operators, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.clock import unix_ms
from daemon.ledger import studies as record
from daemon.ledger.frames import frames_named
from daemon.ledger.ledger import Ledger
from daemon.ledger.studies import Rating, Study
from memory.errors import DriftlineError
from policies.agreement import Appraisal, appraised, fleiss_kappa
from policies.verdict import Label, Verdict

LEAST_PARTS = 4
MACHINE = "the line"
AS_LABEL = {Verdict.OK: Label.GOOD, Verdict.NG: Label.DEFECT}


class StudyRefused(DriftlineError):
    """A study that cannot be planned, or a rating that is not asked for."""


@dataclass(frozen=True)
class Studies:
    """The studies of one line."""

    ledger: Ledger

    def listed(self) -> list[dict[str, Any]]:
        """All studies, newest first, each with how many of its ratings are given."""
        return [
            {
                "study": one,
                "given": len(record.ratings(self.ledger, one.id)),
                "wanted": one.trials * len(one.operators) * len(one.truth),
            }
            for one in record.studies(self.ledger)
        ]

    def plan(self, who: str, name: str, trials: int, operators: Sequence[str], parts: int) -> Study:
        """Plan a study of so many known parts, half of them defects as far as there are. Raises StudyRefused with fewer
        than `LEAST_PARTS` of them, or without both kinds."""
        defects = record.known_frames(self.ledger, Label.DEFECT)
        goods = record.known_frames(self.ledger, Label.GOOD)
        bad = defects[: max(parts // 2, parts - len(goods))]
        good = goods[: parts - len(bad)]
        if not bad or not good or len(bad) + len(good) < LEAST_PARTS:
            raise StudyRefused(
                expected=f"at least {LEAST_PARTS} parts with a picture that people agree on, good ones and defects",
                came=f"{len(goods)} good ones and {len(defects)} defects",
                do="answer more parts on Review or Parts first, good ones too",
            )
        truth = dict.fromkeys(bad, Label.DEFECT) | dict.fromkeys(good, Label.GOOD)
        return record.plan(self.ledger, unix_ms(), who, name, trials, operators, truth)

    def found(self, number: int) -> Study:
        """The study of this number. Raises DriftlineError where there is none."""
        study = record.study(self.ledger, number)
        if study is None:
            raise DriftlineError(expected="the number of a study", came=f"{number}, which none has", do="see Studies")
        return study

    def questions(self, number: int, operator: str) -> list[dict[str, Any]]:
        """What an operator has still to rate, in order: of each the trial, and where its picture is; no verdict.
        Raises StudyRefused for whom the study does not ask."""
        study = self._asks(number, operator)
        given = {(one.trial, one.frame_id) for one in record.ratings(self.ledger, number) if one.operator == operator}
        wanted = [(trial, f) for trial in range(1, study.trials + 1) for f in study.order(operator, trial)]
        asked = []
        for trial, frame_id in wanted:
            frames = [one for one in frames_named(self.ledger, frame_id) if one.frame_id == frame_id]
            if frames and (trial, frame_id) not in given:
                at = {"seq": frames[0].seq, "judged_ms": frames[0].judged_ms}
                asked.append({"trial": trial, "frame_id": frame_id, **at})
        return asked

    def rate(self, number: int, rating: Rating) -> None:
        """Record a rating; a second one of the same part and trial changes nothing. Raises StudyRefused for one that
        the study does not ask for."""
        study = self._asks(number, rating.operator)
        if rating.frame_id not in study.truth or not 1 <= rating.trial <= study.trials:
            raise StudyRefused(
                expected=f"a part of study {number}, in one of its {study.trials} trials",
                came=f"{rating.frame_id} in trial {rating.trial}",
                do="open the study anew",
            )
        record.rate(self.ledger, number, rating, unix_ms())

    def report(self, number: int) -> dict[str, Any]:
        """A study with each appraiser's appraisal, the line's too by its verdicts at the time, and Fleiss' kappa among
        the people who have rated all parts in all trials, and the parts on which these differ."""
        study = self.found(number)
        given = record.ratings(self.ledger, number)
        people = {who: _by_part(study, [one for one in given if one.operator == who]) for who in study.operators}
        appraisals: dict[str, Appraisal] = {who: appraised(of, study.truth) for who, of in people.items()}
        verdicts = record.verdicts_of(self.ledger, list(study.truth))
        by_line = {f: [AS_LABEL[v]] for f, v in verdicts.items() if v in AS_LABEL}
        done = [of for of in people.values() if len(of) == len(study.truth)]
        among = [[label for of in done for label in of[f]] for f in sorted(study.truth)] if len(done) > 1 else []
        return {
            "study": study,
            "appraisals": appraisals | {MACHINE: appraised(by_line, study.truth)},
            "among": fleiss_kappa(among),
            "done": len(done),
            "apart": [f for f in sorted(study.truth) if len({label for of in done for label in of[f]}) > 1],
            "unknown": sum(v not in AS_LABEL for v in verdicts.values()),
            "defects": list(study.truth.values()).count(Label.DEFECT),
            "left": {who: study.trials * len(study.truth) - sum(o.operator == who for o in given) for who in people},
        }

    def _asks(self, number: int, operator: str) -> Study:
        study = self.found(number)
        if operator not in study.operators:
            raise StudyRefused(
                expected=f"one of {', '.join(study.operators)}",
                came=operator,
                do="log in as one of them, or plan a study with this name",
            )
        return study


def _by_part(study: Study, given: Sequence[Rating]) -> dict[str, list[Label]]:
    """An operator's ratings by part, of those that were rated in every trial."""
    of: dict[str, list[Label]] = {}
    for one in sorted(given, key=lambda rating: rating.trial):
        of.setdefault(one.frame_id, []).append(one.label)
    return {frame: labels for frame, labels in of.items() if len(labels) == study.trials}
