"""A rendered production line that lives through a bad week in two minutes: no network, weights or Redis."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from daemon import build, clock
from daemon.datasets.labelled import box_of
from daemon.datasets.playback import send_answer, send_frame
from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from daemon.learning import answers, revocation
from daemon.learning.rollback import roll_back
from daemon.learning.survey import Track
from daemon.learning.teach import images_in, teach
from daemon.ledger.answers import every_answer
from daemon.ledger.frames import newest_frames
from daemon.ledger.history import newest_events, set_aside
from daemon.ledger.records import JudgedFrame
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ExtractorSettings, MemorySettings, PolicySettings, RedisSettings, SourceSettings
from memory.backends import TORCH
from memory.features import Image
from policies.verdict import Label, Verdict

TAUGHT_PARTS = 60
GOODS = "good-parts"
OPERATOR = "anna"
CARELESS = "bert"
FLAWS = (Flaw.SCRATCH, Flaw.STAIN, Flaw.BURR, Flaw.CHIP)
FLAW_EVERY = 8
EVERYTHING = 10_000


@dataclass(frozen=True)
class Shot:
    """One frame of the demo: what is rendered, and what the operator answers if asked."""

    chapter: str
    number: int
    scene: Scene
    flaw: Flaw | None = None
    answer: str = ""
    operator: str = OPERATOR

    @property
    def frame_id(self) -> str:
        """The frame's id; the part number makes it unique."""
        return f"{self.chapter}-{self.number}"

    @property
    def part_id(self) -> str:
        """The part's id; a part that passes the line again gets a new one."""
        return str(self.number) if self.chapter != "round-again" else self.frame_id

    @property
    def truth(self) -> str:
        """The answer of an attentive operator."""
        return self.answer or ("defect" if self.flaw else "good")


# Folders of rendered parts with which the README's tour teaches and feeds a line of its own.
TOUR = {
    "known-defects": [Shot(flaw, 3000 + i, STEADY, flaw) for i, flaw in enumerate(2 * FLAWS)],
    "parts": [Shot("part", n, STEADY, FLAWS[n // 4 % len(FLAWS)] if n % 4 == 3 else None) for n in range(4000, 4048)],
}


def script() -> list[Shot]:
    """The frames of the demo, in order: a steady line, a lamp that ramps up, a new batch of material."""
    shots: list[Shot] = []

    def chapter(name: str, count: int, scene: Callable[[float], Scene]) -> None:
        for i in range(count):
            number = 1000 + len(shots)
            flaw = FLAWS[(number // FLAW_EVERY) % len(FLAWS)] if number % FLAW_EVERY == 0 else None
            shots.append(Shot(name, number, scene(i / max(count - 1, 1)), flaw))

    chapter("steady", 48, lambda _: Scene())
    chapter("lamp", 88, lambda t: Scene(light=1 + 0.25 * t))
    chapter("batch", 72, lambda t: Scene(light=1.25, wear=min(1.0, 2 * t), warmth=min(1.0, 2 * t)))
    return shots


def settings(out: Path) -> Settings:
    """The demo's settings: the backbone that is shipped, and a broker inside this process."""
    return Settings(
        line="demo",
        state_dir=out / "state",
        extractor=ExtractorSettings(backend=TORCH),  # the same figures on every PC
        memory=MemorySettings(bank_patches=4_000, lesson_patches=600),
        # Its week passes in a minute, so an hour's questions must last for all of it.
        policy=PolicySettings(false_reject_rate=0.05, audit_share=0.1, lesson_after=10, asks_per_hour=200),
        redis=RedisSettings(url=build.IN_PROCESS),
        source=SourceSettings(allowed_roots=(out,)),
    )


def play(
    out: Path, track: Track, scripted: Callable[[list[Shot]], object], done: Callable[[Shot, JudgedFrame], None]
) -> Service:
    """Run the whole demo in `out`, whose earlier demo is replaced, and return the service for the report.

    `scripted` is called with the frames of the script before they are played, `done` after each frame.

    Teach; a careless shift, a defect missed for it, reported and remedied, and the shift revoked; the stream with an
    operator who answers; a careless answer that is refused, and a rollback.
    """
    for name in ("state", GOODS, *TOUR):
        shutil.rmtree(out / name, ignore_errors=True)
    folder = out / GOODS
    _render(folder, [Shot("part", number, STEADY) for number in range(TAUGHT_PARTS)])
    for name, tour in TOUR.items():
        _render(out / name, tour)
    demo_settings = settings(out)
    opened, streams = open_state(demo_settings.state_dir), build.redis_streams(demo_settings)
    service = build.service(demo_settings, opened, build.extractor(demo_settings), streams)
    engine = service.engine
    teach(images_in(folder), engine, opened.store, "line engineer", track)
    service.start()
    _bad_shift(service)
    shots = script()
    scripted(shots)
    for shot in shots:
        _shoot(service, shot, done)
        service.lesson_if_due()
    _careless(service, done)
    _roll_back(service)
    service.turn(0)
    return service


def story(service: Service) -> dict[str, object]:
    """The outcome of the demo, in a few lines for the terminal."""
    ledger = service.engine.ledger
    frames, answers_given = newest_frames(ledger, EVERYTHING), {a.frame_id: a.label for a in every_answer(ledger)}
    chapters: dict[str, object] = {}
    for name in ("steady", "lamp", "batch"):
        chapter = [frame for frame in frames if frame.frame_id.startswith(f"{name}-")]
        flagged = [answers_given.get(frame.frame_id) for frame in chapter if frame.verdict is Verdict.NG]
        defects, goods = flagged.count(Label.DEFECT), flagged.count(Label.GOOD)
        chapters[name] = f"{len(chapter)} frames, {defects} defects found, {goods} false rejects"
    remedied = dict.fromkeys(
        event.detail["frame_id"] for event in newest_events(ledger, ("remedied",), EVERYTHING)[::-1]
    )
    refused = sorted(confirmation.frame_id for confirmation in set_aside(ledger))
    holds = newest_events(ledger, ("hold",), 1)
    rebuilt = [v for v in service.store.history() if v.revoked]
    return chapters | {
        "remedied by un-admitting patches": ", ".join(remedied) or "nothing",
        "revoked": ", ".join(f"answers by {CARELESS}, version {v.number} is rebuilt without them" for v in rebuilt),
        "versions": len(service.store.history()),
        "refused as defect-like": ", ".join(refused) or "nothing",
        "held": holds[0].detail["reason"] if holds else "nothing",
        "features": f"{service.engine.settings.extractor.model}, shipped with Driftline",
    }


def _render(folder: Path, shots: list[Shot]) -> None:
    folder.mkdir(parents=True)
    for shot in shots:
        (folder / f"{shot.chapter}-{shot.number:03d}.png").write_bytes(png(part(shot.number, shot.scene, shot.flaw)))


def png(image: Image) -> bytes:
    """The image as PNG bytes."""
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


def _shoot(service: Service, shot: Shot, done: Callable[[Shot, JudgedFrame], None]) -> None:
    """Judge a part; who is asked answers, and a flaw that passed is found by hand and reported."""
    image = png(part(shot.number, shot.scene, shot.flaw))
    frame = send_frame(service, shot.frame_id, {"part_id": shot.part_id, "image": image})
    if frame.asked or shot.truth == "defect":
        marked = _marked(shot) if shot.truth == "defect" and frame.verdict is Verdict.OK else None
        send_answer(service, answers.answer(shot.frame_id, shot.truth, shot.operator, marked))
    done(shot, frame)


def _marked(shot: Shot) -> str:
    """The box around a flaw that the operator draws, as JSON for feedback."""
    changed = (
        np.abs(part(shot.number, shot.scene, shot.flaw).astype(int) - part(shot.number, shot.scene)).max(axis=2) > 16
    )
    return json.dumps(box_of(changed))


def _bad_shift(service: Service) -> None:
    """Before any defect is known, a careless operator confirms a stained part as good, also when it goes round again:
    one answer would teach nothing new, two parts that show the same do, and the next such part passes.

    It is found by hand and reported: the patches that hid it leave the bank. Then all answers of this operator are
    revoked, and the version is rebuilt without them.
    """

    def unseen(*_: object) -> None:
        """These frames are not part of the script's progress."""

    for chapter, light in (("shift", 1.0), ("round-again", 1.01)):  # no image of a camera repeats another to the bit
        _shoot(service, Shot(chapter, 900, Scene(light=light), Flaw.STAIN, "good", CARELESS), unseen)
    service.learn("a careless shift")
    _shoot(service, Shot("missed", 900, Scene(light=0.99), Flaw.STAIN), unseen)
    service.learn("a missed defect")
    ids = revocation.answers_of(service.engine.ledger, (), CARELESS, None, None)
    revocation.revoke(service.engine, service.store, ids, "line engineer", "careless answers")


def _careless(service: Service, done: Callable[[Shot, JudgedFrame], None]) -> None:
    """A careless operator confirms a scratched part as good; the lesson is held, whatever else is due."""
    service.learn("before the careless answer")
    worn = Scene(light=1.25, wear=1.0, warmth=1.0)
    _shoot(service, Shot("careless", 1900, worn, Flaw.SCRATCH, "good", CARELESS), done)
    service.learn("after the careless answer")


def _roll_back(service: Service) -> None:
    """The engineer goes back one version and the service follows; no confirmed defect is forgotten."""
    head = service.store.head()
    if head is not None and head.parent is not None:
        roll_back(service.store, service.engine.ledger, head.parent, "line engineer", clock.unix_ms())
        service.notice_versions()
