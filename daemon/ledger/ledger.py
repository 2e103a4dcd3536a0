"""The ledger: what was judged, what was answered, what was learned; durable before anything is acknowledged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from daemon.clock import Moment, moment
from daemon.ledger.chain import AUDITED, adopt, answer_detail, append, append_version
from daemon.ledger.database import Database
from daemon.ledger.records import JudgedFrame, NewAnswer, NewVerdict, RecordedAnswer
from daemon.ledger.rows import (
    INSERT_ANSWER,
    INSERT_FRAME,
    answer_columns,
    event_detail,
    frame_columns,
    judged_frame,
    recorded_answer,
    unused_key,
)

REVIEWED_FRAMES = 100


class Ledger:
    """The durable record of one line: every write, and what judging a frame reads.

    Other queries are functions of this room's other files, one file for each thing that is asked; they return records.
    Every method is one transaction, safe from any thread. Raises sqlite3.OperationalError where the disk refuses; then
    nothing was written. `database` is for this package alone.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path, {AUDITED: adopt})

    def close(self, *, fold: bool = True) -> None:
        """Fold the write-ahead log in, unless somebody else will, and close."""
        self.database.close(fold=fold)

    def record_verdict(self, verdict: NewVerdict) -> JudgedFrame:
        """Record a verdict once. Returns the recorded frame: the earlier one where the frame id was judged before.

        `wire_id`, under which it will be published, is strictly increasing: the time, unless the clock went
        back, then the sequence number.
        """
        with self.database.write() as db:
            earlier = self.frame(verdict.frame_id)
            if earlier is not None:
                return earlier
            last = db.execute("SELECT wire_id FROM frames ORDER BY seq DESC LIMIT 1").fetchone()
            floor = int(last["wire_id"].split("-")[0]) if last else 0
            seq = db.execute(INSERT_FRAME, frame_columns(verdict)).lastrowid
            wire_id = f"{max(floor, verdict.judged_ms)}-{seq}"
            db.execute("UPDATE frames SET wire_id = ? WHERE seq = ?", (wire_id, seq))
            return judged_frame(db.execute("SELECT * FROM frames WHERE seq = ?", (seq,)).fetchone())

    def record_answer(self, answer: NewAnswer) -> RecordedAnswer | None:
        """Record one operator's answer once; None where its idempotency key was seen before."""
        with self.database.write() as db:
            # Looked up first: an ignored insert would leave a gap in the ids that versions refer to.
            if (key := unused_key(db, answer.key)) is None:
                return None
            answer_id = db.execute(INSERT_ANSWER, answer_columns(answer) | {"key": key}).lastrowid
            row = db.execute("SELECT * FROM answers WHERE id = ?", (answer_id,)).fetchone()
            append(db, answer.received_ms, "answer", answer.operator, answer.frame_id, answer_detail(row))
            return recorded_answer(row)

    def record_lesson(self, at_ms: int, base: int, through: int, version: int | None, reason: str) -> None:
        """Record a lesson's outcome: the version it became, or None and why it was held."""
        with self.database.write() as db:
            db.execute(
                "INSERT INTO lessons (at_ms, base, through, version, reason) VALUES (?, ?, ?, ?, ?)",
                (at_ms, base, through, version, reason),
            )

    def quarantine(self, frame_ids: tuple[str, ...], at_ms: int, reason: str) -> None:
        """Set confirmations aside: they are not proposed again."""
        with self.database.write() as db:
            for frame_id in frame_ids:
                if db.execute("INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?)", (frame_id, at_ms, reason)).rowcount:
                    append(db, at_ms, "set aside", "gate", frame_id, {"reason": reason})

    def revoke(self, ids: tuple[int, ...], at_ms: int, who: str, reason: str) -> None:
        """Revoke answers, once each: they no longer count.

        What was set aside since the first of them may have been set aside because of it, so it may be proposed again.
        """
        with self.database.write() as db:
            for each in ids:
                if db.execute("INSERT OR IGNORE INTO revoked VALUES (?, ?, ?, ?)", (each, at_ms, who, reason)).rowcount:
                    about = db.execute("SELECT frame_id FROM feedback WHERE id = ?", (each,)).fetchone()
                    append(db, at_ms, "revocation", who, about["frame_id"], {"answer": each, "reason": reason})
            db.execute(
                "DELETE FROM quarantine WHERE at_ms >= (SELECT min(received_ms) FROM teaching"
                " WHERE id IN (SELECT value FROM json_each(?)))",
                (json.dumps(ids),),
            )
            self.event(at_ms, "revoked", answers=list(ids), who=who, reason=reason)

    def event(self, at_ms: int, kind: str, **detail: Any) -> None:
        """Record an event: a hold, a dead letter, a damaged file, a missed job.

        Times of events never decrease, whatever thread records them: they are part of the id in the events stream.
        """
        with self.database.write() as db:
            last = db.execute("SELECT at_ms FROM events ORDER BY id DESC LIMIT 1").fetchone()
            db.execute(
                "INSERT INTO events (at_ms, kind, detail) VALUES (?, ?, ?)",
                (max(at_ms, last["at_ms"] if last else 0), kind, event_detail(detail)),
            )

    def record_version(self, number: int, heading: Mapping[str, str], at_ms: int, **detail: Any) -> None:
        """Record the heading of a version's manifest, whose original is in the store, with an event; once for each
        version."""
        with self.database.write() as db:
            fresh = db.execute(
                "INSERT OR IGNORE INTO versions VALUES (:number, :cause, :who, :created_at, :sha256)",
                {"number": number, **heading},
            ).rowcount
            if fresh:
                self.event(at_ms, "version", number=number, **detail)
                append_version(db, at_ms, number, heading, detail)

    def certificate(self, version_sha256: str, backend: str) -> dict[str, Any] | None:
        """The record of a backend's comparison with the reference for a version: its description as `made`, and
        `parity`; None if never compared."""
        query = "SELECT made, parity FROM certificates WHERE version_sha256 = ? AND backend = ?"
        row = self.database.row(query, version_sha256, backend)
        return {"made": row["made"], "parity": json.loads(row["parity"])} if row else None

    def certify(
        self, version_sha256: str, backend: str, description: str, at_ms: int, parity: Mapping[str, Any]
    ) -> None:
        """Record a backend's comparison with the reference for a version, in place of an earlier one."""
        with self.database.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?, ?)",
                (version_sha256, backend, description, at_ms, json.dumps(parity)),
            )

    def set_status(self, name: str, value: Mapping[str, Any]) -> None:
        """Publish a part of the service's status for other processes to read."""
        with self.database.write() as db:
            db.execute("INSERT OR REPLACE INTO status VALUES (?, ?)", (name, json.dumps(value, default=str)))

    def get_status(self, name: str) -> dict[str, Any] | None:
        """The part of the status that was last set under `name`; None where there is none."""
        row = self.database.row("SELECT value FROM status WHERE name = ?", name)
        return json.loads(row["value"]) if row else None

    def service(self, fresh_s: float) -> dict[str, Any]:
        """The service's last report, and whether it is still `running`: it reported within `fresh_s`, however the PC's
        clock was set meanwhile."""
        status = self.get_status("service") or {}
        made = status.get("moment")
        fresh = made is not None and Moment(**made).ago_s(moment()) < fresh_s
        return {**status, "running": fresh and "stopped_ms" not in status}

    def mark_verdict_published(self, seq: int) -> None:
        """Record that a frame's verdict is in its stream."""
        with self.database.write() as db:
            db.execute("UPDATE frames SET published = 1 WHERE seq = ?", (seq,))

    def mark_event_published(self, event_id: int) -> None:
        """Record that an event is in its stream."""
        with self.database.write() as db:
            db.execute("UPDATE events SET published = 1 WHERE id = ?", (event_id,))

    def forget_file(self, seq: int, delete: Callable[[], None]) -> bool:
        """Delete a frame's image and record it. Returns False, and changes nothing, where an answer has come since.

        A kill in between leaves a row whose image is gone, and retention comes to it again; in the other order a file
        would be left that nothing names.
        """
        with self.database.write() as db:
            forgotten = db.execute(
                "UPDATE frames SET kept = NULL WHERE seq = ?"
                " AND EXISTS (SELECT 1 FROM unanswered WHERE unanswered.seq = frames.seq)",
                (seq,),
            )
            if forgotten.rowcount:
                delete()
            return bool(forgotten.rowcount)

    def forget_before(self, at_ms: int, through: int, most: int) -> int:
        """Delete at most `most` published, unanswered frames up to the number `through`, and as many events, older than
        `at_ms`.

        Returns how many frames were deleted; it is to be called until that is 0, so that no writer waits long.
        """
        with self.database.write() as db:
            gone = db.execute(
                "DELETE FROM frames WHERE seq IN (SELECT seq FROM unanswered WHERE judged_ms < ? AND seq <= ?"
                " AND published = 1 AND kept IS NULL LIMIT ?)",
                (at_ms, through, most),
            ).rowcount
            db.execute(
                "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at_ms < ? AND published = 1 LIMIT ?)",
                (at_ms, most),
            )
            return gone

    def forget_oldest(self, through: int, most: int) -> int:
        """Delete the oldest published, unanswered frames up to the number `through`, at most `most`, and the events
        before the last of them. Returns how many frames were deleted."""
        with self.database.write() as db:
            rows = db.execute(
                "SELECT seq, judged_ms FROM unanswered WHERE seq <= ? AND published = 1 AND kept IS NULL"
                " ORDER BY seq LIMIT ?",
                (through, most),
            ).fetchall()
            if rows:
                db.executemany("DELETE FROM frames WHERE seq = ?", [(row["seq"],) for row in rows])
                db.execute("DELETE FROM events WHERE at_ms < ? AND published = 1", (rows[-1]["judged_ms"],))
            return len(rows)

    def used_bytes(self) -> int:
        """The room that the ledger's rows take."""
        return self.database.used_bytes()

    def asked_between(self, after_ms: int, through_ms: int) -> int:
        """The number of questions of the label budget after a time and until another (Unix, ms)."""
        return self.database.number(
            "SELECT count(*) FROM frames WHERE asked = 1 AND audited = 0 AND judged_ms > ? AND judged_ms <= ?",
            after_ms,
            through_ms,
        )

    def reviewed_share(self) -> float:
        """Of the newest `REVIEWED_FRAMES` that were passed, the share that the label budget asked about."""
        asked = self.database.number(
            "SELECT count(*) FROM"
            " (SELECT asked, audited FROM line_frames WHERE verdict = 'OK' ORDER BY seq DESC LIMIT ?)"
            " WHERE asked = 1 AND audited = 0",
            REVIEWED_FRAMES,
        )
        return asked / REVIEWED_FRAMES

    def next_seq(self) -> int:
        """The number that the next frame will get: higher than any before, and none is used twice."""
        return self.database.number("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'frames'") + 1

    def frame(self, frame_id: str) -> JudgedFrame | None:
        """A frame with its verdict, or None if it was never judged."""
        row = self.database.row("SELECT * FROM frames WHERE frame_id = ?", frame_id)
        return judged_frame(row) if row else None

    def counts(self) -> dict[str, int]:
        """The counts of verdicts, answers, events and lessons, by name."""
        rows = self.database.rows(
            "SELECT 'frames.' || verdict AS name, count(*) AS n FROM line_frames GROUP BY verdict"
            " UNION ALL SELECT 'feedback.' || effect, count(*) FROM feedback GROUP BY effect"
            " UNION ALL SELECT 'events.' || kind, count(*) FROM events GROUP BY kind"
            " UNION ALL SELECT 'lessons.' || CASE WHEN version IS NULL THEN 'held' ELSE 'committed' END, count(*)"
            " FROM lessons GROUP BY version IS NULL"
        )
        return {row["name"]: row["n"] for row in rows}
