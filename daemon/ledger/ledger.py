"""The ledger: what was judged, what was answered, what was learned. SQLite, durable before anything is
acknowledged.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.ledger.schema import STEPS
from memory.errors import StoreError

Row = sqlite3.Row
DISK_ERRORS = (sqlite3.OperationalError, OSError)


class Ledger:
    """One SQLite file, shared by threads behind one lock; every method is one durable transaction.

    A ledger of an older format is brought up to date when it is opened. Raises sqlite3.OperationalError where the
    disk refuses; then nothing was written. Raises StoreError for a ledger of a newer Driftline.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._write() as db:
            made = db.execute("PRAGMA user_version").fetchone()[0]
            if made > len(STEPS):
                raise StoreError(
                    expected=f"a ledger of format {len(STEPS)} or older",
                    came=f"format {made} in {path}",
                    do="run the newer Driftline that wrote it",
                )
            for step in STEPS[made:]:
                for statement in step.split(";"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(STEPS)}")

    def close(self) -> None:
        """Fold the write-ahead log in and close."""
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()

    def record_verdict(self, frame: Mapping[str, Any]) -> Row:
        """Record a verdict once; returns the row, the earlier one where the frame id was judged before.

        `wire_id`, under which it will be published, is strictly increasing: the time, unless the clock went
        back, then the sequence number.
        """
        with self._write() as db:
            earlier: Row | None = db.execute("SELECT * FROM frames WHERE frame_id = ?", (frame["frame_id"],)).fetchone()
            if earlier is not None:
                return earlier
            last = db.execute("SELECT wire_id FROM frames ORDER BY seq DESC LIMIT 1").fetchone()
            floor = int(last["wire_id"].split("-")[0]) if last else 0
            marks = ", ".join("?" * (len(frame) + 1))
            seq = db.execute(
                f"INSERT INTO frames ({', '.join(frame)}, wire_id) VALUES ({marks})",  # noqa: S608  # our own names
                [*frame.values(), ""],
            ).lastrowid
            wire_id = f"{max(floor, frame['judged_ms'])}-{seq}"
            db.execute("UPDATE frames SET wire_id = ? WHERE seq = ?", (wire_id, seq))
            row: Row = db.execute("SELECT * FROM frames WHERE seq = ?", (seq,)).fetchone()
            return row

    def record_answer(self, answer: Mapping[str, Any]) -> Row | None:
        """Record one operator's answer once; None where its idempotency key was seen before."""
        with self._write() as db:
            # Looked up first: an ignored insert would leave a gap in the ids that versions refer to.
            if db.execute("SELECT 1 FROM feedback WHERE key = ?", (answer["key"],)).fetchone():
                return None
            inserted = db.execute(
                "INSERT INTO feedback (key, frame_id, verdict, operator, region, received_ms, effect)"
                " VALUES (:key, :frame_id, :verdict, :operator, :region, :received_ms, :effect)",
                answer,
            )
            row: Row = db.execute("SELECT * FROM feedback WHERE id = ?", (inserted.lastrowid,)).fetchone()
            return row

    def record_lesson(self, at_ms: int, base: int, through: int, version: int | None, reason: str) -> None:
        """Record a lesson's outcome: the version it became, or None and why it was held."""
        with self._write() as db:
            db.execute(
                "INSERT INTO lessons (at_ms, base, through, version, reason) VALUES (?, ?, ?, ?, ?)",
                (at_ms, base, through, version, reason),
            )

    def quarantine(self, frame_ids: tuple[str, ...], at_ms: int, reason: str) -> None:
        """Set confirmations aside: they are not proposed again."""
        with self._write() as db:
            db.executemany("INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?)", [(f, at_ms, reason) for f in frame_ids])

    def revoke(self, ids: tuple[int, ...], at_ms: int, who: str, reason: str) -> None:
        """Take answers back, once each: they count no more.

        What was set aside since the first of them was given may have been set aside because of it: it is free again.
        """
        with self._write() as db:
            rows = [(i, at_ms, who, reason) for i in ids]
            db.executemany("INSERT OR IGNORE INTO revoked VALUES (?, ?, ?, ?)", rows)
            db.execute(
                "DELETE FROM quarantine WHERE at_ms >= (SELECT received_ms FROM feedback WHERE id = ?)", (min(ids),)
            )
            self.event(at_ms, "revoked", answers=list(ids), who=who, reason=reason)

    def event(self, at_ms: int, kind: str, **detail: Any) -> None:
        """Record something worth telling: a hold, a dead letter, a damaged file, a missed job.

        Times never fall, whichever thread tells first: they are part of the id in the events stream.
        """
        with self._write() as db:
            last = db.execute("SELECT at_ms FROM events ORDER BY id DESC LIMIT 1").fetchone()
            db.execute(
                "INSERT INTO events (at_ms, kind, detail) VALUES (?, ?, ?)",
                (max(at_ms, last["at_ms"] if last else 0), kind, json.dumps(detail, ensure_ascii=False, default=str)),
            )

    def record_version(self, number: int, heading: Mapping[str, str], at_ms: int, **detail: Any) -> None:
        """Copy a manifest's heading from the store, which is the truth, and tell of it as an event, once."""
        with self._write() as db:
            fresh = db.execute(
                "INSERT OR IGNORE INTO versions VALUES (:number, :cause, :who, :created_at, :sha256)",
                {"number": number, **heading},
            ).rowcount
            if fresh:
                self.event(at_ms, "version", number=number, **detail)

    def certificate(self, version_sha256: str, backend: str) -> dict[str, Any] | None:
        """What a backend, as it was `made`, scored beside the reference for a version; None if never compared."""
        query = "SELECT made, parity FROM certificates WHERE version_sha256 = ? AND backend = ?"
        row = self.one(query, version_sha256, backend)
        return {"made": row["made"], "parity": json.loads(row["parity"])} if row else None

    def certify(self, version_sha256: str, backend: str, made: str, at_ms: int, parity: Mapping[str, Any]) -> None:
        """Record what was compared, instead of what was before."""
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?, ?)",
                (version_sha256, backend, made, at_ms, json.dumps(parity)),
            )

    def set_status(self, name: str, value: Mapping[str, Any]) -> None:
        """Publish a part of the service's status for other processes to read."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO status VALUES (?, ?)", (name, json.dumps(value, default=str)))

    def get_status(self, name: str) -> dict[str, Any] | None:
        """What was last said under `name`."""
        row = self.one("SELECT value FROM status WHERE name = ?", name)
        return json.loads(row["value"]) if row else None

    def service(self, now_ms: int, fresh_ms: float) -> dict[str, Any]:
        """What the service last said of itself, and whether it still is `running`: it spoke within `fresh_ms`."""
        said = self.get_status("service") or {}
        fresh = now_ms - said.get("heartbeat_ms", 0) < fresh_ms
        return {**said, "running": bool(said) and "stopped_ms" not in said and fresh}

    def mark_published(self, table: str, key: int) -> None:
        """Mark a frame's verdict or an event as published."""
        statement = {
            "frames": "UPDATE frames SET published = 1 WHERE seq = ?",
            "events": "UPDATE events SET published = 1 WHERE id = ?",
        }[table]
        with self._write() as db:
            db.execute(statement, (key,))

    def forget_file(self, seq: int) -> bool:
        """Record that a kept frame goes; False, and nothing changes, where an answer came in meanwhile."""
        unanswered = "seq = ? AND frame_id NOT IN (SELECT frame_id FROM feedback)"
        with self._write() as db:
            return bool(db.execute(f"UPDATE frames SET kept = NULL WHERE {unanswered}", (seq,)).rowcount)  # noqa: S608  # constant

    def forget_before(self, at_ms: int, most: int) -> int:
        """Delete at most `most` published, unanswered frames, and as many events, older than `at_ms`.

        Returns how many frames went; called until that is less than `most`, so that no one waits long.
        """
        with self._write() as db:
            gone = db.execute(
                "DELETE FROM frames WHERE seq IN (SELECT seq FROM frames WHERE judged_ms < ? AND published = 1"
                " AND kept IS NULL AND frame_id NOT IN (SELECT frame_id FROM feedback) LIMIT ?)",
                (at_ms, most),
            ).rowcount
            db.execute(
                "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at_ms < ? AND published = 1 LIMIT ?)",
                (at_ms, most),
            )
            return gone

    def asked_since(self, at_ms: int) -> int:
        """How many questions of the label budget were asked after a time."""
        row = self.one("SELECT count(*) AS n FROM frames WHERE asked = 1 AND audited = 0 AND judged_ms > ?", at_ms)
        return int(row["n"]) if row else 0

    def next_seq(self) -> int:
        """The number that the next frame will get: higher than any before, and none is used twice."""
        row = self.one("SELECT seq FROM sqlite_sequence WHERE name = 'frames'")
        return int(row["seq"]) + 1 if row else 1

    def frame(self, frame_id: str) -> Row | None:
        """The verdict of a frame, or None if it was never judged."""
        return self.one("SELECT * FROM frames WHERE frame_id = ?", frame_id)

    def one(self, query: str, *values: Any) -> Row | None:
        """The first row of a read-only query."""
        with self._lock:
            row: Row | None = self._db.execute(query, values).fetchone()
            return row

    def all(self, query: str, *values: Any) -> list[Row]:
        """All rows of a read-only query."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def counts(self) -> dict[str, int]:
        """How often everything that is counted has happened, by name."""
        rows = self.all(
            "SELECT 'frames.' || verdict AS name, count(*) AS n FROM line_frames GROUP BY verdict"
            " UNION ALL SELECT 'feedback.' || effect, count(*) FROM feedback GROUP BY effect"
            " UNION ALL SELECT 'events.' || kind, count(*) FROM events GROUP BY kind"
            " UNION ALL SELECT 'lessons.' || CASE WHEN version IS NULL THEN 'held' ELSE 'committed' END, count(*)"
            " FROM lessons GROUP BY version IS NULL"
        )
        return {row["name"]: row["n"] for row in rows}

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._db.in_transaction:  # part of a larger change
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
