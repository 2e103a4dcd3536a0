"""What the console reads of a running line, and the answers that it sends."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2

from daemon import clock
from daemon.intake.decode import ImageRejected, pictured
from daemon.learning import answers, lesson, publish
from daemon.ledger import provenance, state
from daemon.ledger.frames import frame_numbered
from daemon.reporting.heatmap import overlay
from daemon.settings.load import Settings
from daemon.streams import RedisStreams, Stream
from memory.errors import DriftlineError
from memory.features import Image
from memory.version import Model, Version

PICTURE_PX = 1_024
JPEG_QUALITY = 88
DRAWN = 128
COLUMNS = "SELECT seq, frame_id, part_id, judged_ms, verdict, reason, score, threshold, p_value, version, asked"
FRAME = f"{COLUMNS} FROM line_frames"
# First what was not passed, then the oddest of what was, within the hour's questions that the service has asked.
REVIEWS = f"{COLUMNS} FROM open_reviews ORDER BY verdict = 'OK', p_value, seq DESC LIMIT ?"


class Answered(DriftlineError):
    """Somebody else has answered about this part: nothing was sent."""


@dataclass
class LineView:
    """One line as other processes see it: its state folder and its streams."""

    settings: Settings
    opened: state.State
    wire: RedisStreams
    _drawn: OrderedDict[tuple[int, bool], bytes] = field(default_factory=OrderedDict, init=False)
    _drawing: threading.Lock = field(default_factory=threading.Lock, init=False)
    _reading: threading.RLock = field(default_factory=threading.RLock, init=False)
    _looked: int = field(default=0, init=False)
    _head: Version | None = field(default=None, init=False)
    _model: Model | None = field(default=None, init=False)

    def head(self) -> Version | None:
        """The version that judges; None before anything was taught. To see that it is intact all of it is read, and
        pages ask again and again, so that is done once for each new version."""
        with self._reading:
            newest = self.opened.store.newest_number()
            if newest != self._looked:
                self._head, self._looked = self.opened.store.head(), newest
            return self._head

    def model(self) -> Model:
        """The version that judges, with its contents. Raises StoreError before anything was taught."""
        with self._reading:
            head = self.head()
            if head is None or self._model is None or self._model.version.sha256 != head.sha256:
                self._model = publish.current(self.opened.store)
            return self._model

    def frames(self, before: int | None, verdict: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest judged frames, newest first, of those `before` a sequence number."""
        query = f"{FRAME} WHERE seq < ? AND (? IS NULL OR verdict = ?) ORDER BY seq DESC LIMIT ?"
        rows = self.opened.ledger.all(query, before or 2**62, verdict, verdict, limit)
        return [dict(row) for row in rows]

    def after(self, seq: int, limit: int) -> list[dict[str, Any]]:
        """Frames judged since one, oldest first."""
        rows = self.opened.ledger.all(f"{FRAME} WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)
        return [dict(row) for row in rows]

    def reviews(self, limit: int) -> list[dict[str, Any]]:
        """Parts that people are asked about and nobody has answered for, the most urgent first."""
        return [dict(row) for row in self.opened.ledger.all(REVIEWS, limit)]

    def waiting(self) -> int:
        """How many parts wait for an answer."""
        row = self.opened.ledger.one("SELECT count(*) AS n FROM open_reviews")
        return int(row["n"]) if row else 0

    def why(self, name: str) -> list[dict[str, Any]]:
        """Why a frame, or each frame of a part, was judged so. Raises DriftlineError where there is none."""
        ledger = self.opened.ledger
        return [provenance.why(self.opened.store, ledger, row) for row in provenance.frames_of(ledger, name)]

    def answer(self, given: answers.Answer, *, despite: bool) -> str:
        """Send an answer the way that every client does; its entry in the stream.

        Raises FeedbackRejected for a frame that was never judged, WireLost without Redis, and Answered where another
        operator's answer stands, unless it is given `despite` that; then people disagree, and nothing is learned of the
        part until they do.
        """
        answers.judged(self.opened.ledger, given.frame_id)
        standing = self.opened.ledger.all(
            "SELECT operator, verdict, received_ms FROM answers"
            " WHERE frame_id = ? AND operator <> ? AND revoked_by IS NULL ORDER BY id",
            given.frame_id,
            given.operator,
        )
        if standing and not despite:
            first = standing[0]
            raise Answered(
                expected="a part that nobody has answered for",
                came=f"{first['operator']} said {first['verdict']} at {clock.iso(first['received_ms'])}",
                do="skip it, or send it again with despite=true if you disagree",
            )
        return self.wire.send(Stream.FEEDBACK, given.fields())

    def status(self) -> dict[str, Any]:
        """What the service last said of itself, and whether it still runs."""
        return self.opened.ledger.service(clock.unix_ms(), self.settings.schedule.fresh_ms)

    def drift(self, limit: int) -> dict[str, Any]:
        """How the scene is now, and what was told of it, newest first."""
        kinds = ("drift", "drift_over", "drift_noticed", "regime", "trust")
        marks = ", ".join("?" * len(kinds))
        rows = self.opened.ledger.all(
            f"SELECT at_ms, kind, detail FROM events WHERE kind IN ({marks}) ORDER BY id DESC LIMIT ?",  # noqa: S608  # marks
            *kinds,
            limit,
        )
        told = [{"at_ms": r["at_ms"], "kind": r["kind"], **json.loads(r["detail"])} for r in rows]
        return {"now": self.status().get("drift"), "told": told}

    def audit(self) -> Iterator[dict[str, Any]]:
        """Every change of what the line knows, who made it and when, oldest first within each kind."""
        for version in self.opened.store.history():
            detail = {"cause": version.cause, "added": len(version.added), "removed": len(version.removed)}
            yield _entry(version.created_at, "version", version.who, str(version.number), detail)
        ledger = self.opened.ledger
        for row in ledger.all("SELECT * FROM feedback ORDER BY id"):
            detail = {"verdict": row["verdict"], "effect": row["effect"], "answer": row["id"]}
            yield _entry(clock.iso(row["received_ms"]), "answer", row["operator"], row["frame_id"], detail)
        for row in ledger.all("SELECT * FROM revoked ORDER BY feedback_id"):
            detail = {"reason": row["reason"]}
            yield _entry(clock.iso(row["at_ms"]), "revocation", row["who"], str(row["feedback_id"]), detail)
        for row in ledger.all("SELECT * FROM quarantine ORDER BY at_ms"):
            yield _entry(clock.iso(row["at_ms"]), "set aside", "gate", row["frame_id"], {"reason": row["reason"]})

    def drawn(self, seq: int, *, heat: bool) -> bytes | None:
        """`jpeg` if it is ready."""
        return self._drawn.get((seq, heat))

    def jpeg(self, seq: int, heat: bool) -> bytes | None:
        """`picture` as a JPEG: the newest are drawn once for all who watch."""
        with self._drawing:
            if (seq, heat) not in self._drawn:
                pixels = self.picture(seq, heat=heat)
                if pixels is None:
                    return None
                self._drawn[seq, heat] = encoded(pixels)
                while len(self._drawn) > DRAWN:
                    self._drawn.popitem(last=False)
            return self._drawn[seq, heat]

    def picture(self, seq: int, *, heat: bool) -> Image | None:
        """A frame as its camera saw it (H, W, 3) u8, with its anomaly map if asked for; None where it is gone.

        The scale of the map is fixed by the good parts of the version that judged it, so a calm part looks calm.
        """
        frame = frame_numbered(self.opened.ledger, seq)
        data = self.opened.kept.image(frame.kept) if frame and frame.kept else None
        if frame is None or frame.kept is None or data is None:
            return None
        try:
            image = pictured(data, PICTURE_PX, self.settings.source.max_pixels)
        except ImageRejected:
            return None
        anomaly = self.opened.kept.anomaly(frame.kept) if heat else None
        threshold = provenance.threshold_behind(self.opened.store, frame)
        return image if anomaly is None or threshold is None else overlay(image, anomaly, threshold)

    def _troubles(self, said: dict[str, Any]) -> list[str]:
        """What people at the line should know, in words."""
        told = [f"{what} is away: {error}" for what, error in (said.get("trouble") or {}).items()]
        if not said["running"]:
            told.insert(0, "The service is not running: no part is judged.")
        if said.get("version") is None and said["running"]:
            told.append("Nothing was taught yet: every part is UNKNOWN.")
        if said.get("backend_refused"):
            told.append(f"Torch judges, since the chosen backend was refused: {said['backend_refused']}")
        cards = (said.get("drift") or {}).get("cards", ())
        return told + [f"{card['cause']}: {card['amount']}, likely {card['reason']}. {card['do']}" for card in cards]

    def summary(self) -> dict[str, Any]:
        """The status with what a page needs beside it."""
        said, head = self.status(), self.head()
        due = self.settings.policy.lesson_after - lesson.unlearned(self.opened.ledger, head) if head else None
        return {
            **said,
            "troubles": self._troubles(said),
            "waiting": self.waiting(),
            "head": head.number if head else None,
            "answers_to_lesson": due,
        }


def encoded(pixels: Image) -> bytes:
    """Pixels (H, W, 3) u8 as a JPEG."""
    return cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _entry(at: str, kind: str, who: str, what: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"at": at, "kind": kind, "who": who, "what": what, "detail": json.dumps(detail, ensure_ascii=False)}
