"""Kill −9 a replay of the tile stream at random moments, restart it, and compare with an undisturbed run.

usage: python -m bench.kill [--kills 12] [--seed 0] [--short]

Both runs use a real redis-server that this script starts on a free port of the loopback interface. Checked:
one verdict per frame in ledger and stream, one effect per answer, and bit-identical scores, thresholds,
exposure estimates and version contents.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from bench.lib import arguments, processes
from bench.lib.material import Material, material

FRAME = "SELECT frame_id, verdict, score, threshold, p_value, version, log_ratio, drift FROM frames ORDER BY frame_id"
ANSWER = "SELECT key, frame_id, verdict, effect FROM feedback ORDER BY id"


def start(on: Material, folder: Path, port: int, line: str) -> subprocess.Popen[bytes]:
    """Start a replay in `folder`."""
    extractor = {f"extractor.{name}": json.dumps(value) for name, value in on.extractor.model_dump().items()}
    settings = extractor | {
        "line": line,
        "state_dir": str(folder / line),
        "policy.false_reject_rate": "0.05",
        "policy.audit_share": "0.1",
        "policy.lesson_after": "5",
        "redis.url": f"redis://127.0.0.1:{port}/0",
    }
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [*processes.DRIFTLINE, "replay", on.protocol(), "--json", *overrides]
    return processes.start(command, log(folder, line), cwd=folder)


def log(folder: Path, line: str) -> Path:
    """What a line's replays say."""
    return folder / f"{line}.log"


def count(folder: Path, line: str) -> int:
    """Frames in the ledger so far."""
    path = folder / f"{line}-replay" / "ledger.sqlite"
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM frames").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def disturbed(on: Material, folder: Path, port: int, kills: int, draw: random.Random) -> list[str]:
    """Run with kills: every fourth at any moment of a start, the others soon after new frames were judged."""
    moments = []
    while len(moments) < kills:
        process, before, began = start(on, folder, port, "killed"), count(folder, "killed"), time.monotonic()
        if len(moments) % 4 == 3:
            time.sleep(draw.uniform(0.2, 7.0))
        else:
            while count(folder, "killed") == before and process.poll() is None and time.monotonic() - began < 60:
                time.sleep(0.01)
            time.sleep(draw.uniform(0.0, 0.9))
        if process.poll() is not None:
            raise SystemExit(f"the replay ended before kill {len(moments) + 1}; ask for fewer kills")
        process.send_signal(signal.SIGKILL)
        process.wait()
        moments.append(f"{time.monotonic() - began:.2f} s after start, {count(folder, 'killed')} frames judged")
    processes.ended(start(on, folder, port, "killed"), "the last run", log(folder, "killed"))
    return moments


def check(folder: Path, client: redis.Redis) -> dict[str, object]:
    """Compare both runs; raises SystemExit with what differs."""
    counts: dict[str, object] = {}
    frames, answers, versions = {}, {}, {}
    for line in ("calm", "killed"):
        db = sqlite3.connect(folder / f"{line}-replay" / "ledger.sqlite")
        frames[line], answers[line] = db.execute(FRAME).fetchall(), db.execute(ANSWER).fetchall()
        stream = [e[1][b"frame_id"].decode() for e in client.xrange(f"driftline:{line}-replay:verdicts")]
        paths = sorted((folder / f"{line}-replay" / "store" / "versions").glob("*.json"))
        manifests = [json.loads(path.read_text()) for path in paths]
        versions[line] = [
            {k: v[k] for k in ("number", "blobs", "threshold", "added", "refused", "gate", "feedback_through")}
            for v in manifests
        ]
        ids = [row[0] for row in frames[line]]
        if sorted(stream) != sorted(ids) or len(set(ids)) != len(ids):
            raise SystemExit(f"{line}: {len(stream)} verdicts in the stream, {len(ids)} in the ledger")
        keys = [row[0] for row in answers[line]]
        if len(set(keys)) != len(keys):
            raise SystemExit(f"{line}: an answer has two effects")
        intervals = [v["feedback_through"] for v in manifests]
        if intervals != sorted(intervals):
            raise SystemExit(f"{line}: versions overlap in the feedback they include: {intervals}")
        counts[line] = {"frames": len(ids), "verdicts": len(stream), "answers": len(keys), "versions": len(manifests)}
    for name, pair in (("frames", frames), ("answers", answers), ("versions", versions)):
        calm, killed = _strip(name, pair["calm"]), _strip(name, pair["killed"])
        if calm != killed:
            raise SystemExit(
                f"{name} differ between the undisturbed run and the killed one: {_differing(calm, killed)}"
            )
    return counts | {
        "bit-identical": "frames (verdict, score, threshold, p-value, version, exposure), answers, versions (blobs)"
    }


def _differing(calm: list, killed: list) -> str:
    """The first rows that differ; of versions only the names of what differs in each."""
    if len(calm) != len(killed):
        return f"{len(calm)} against {len(killed)}"
    pairs = [(one, other) for one, other in zip(calm, killed, strict=True) if one != other]
    if isinstance(pairs[0][0], dict):
        flat = [[row | row["blobs"] for row in pair] for pair in pairs]
        return "; ".join(f"{a['number']}: {', '.join(k for k in a if a[k] != b.get(k))}" for a, b in flat)
    return str(pairs[:2])


def _strip(name: str, rows: list) -> list:
    """Without what names a time: the causes' onset in a frame's drift state."""
    if name != "frames":
        return rows
    names = ("deviation", "trust", "known", "regime")
    return [(*row[:-1], *map(json.loads(row[-1]).get, names)) for row in rows]


def main() -> None:
    """Start Redis, run both, compare."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = arguments.parse(parser, kills=1)
    on, began = material(short=options.short), time.monotonic()
    moment = random.Random(options.seed)  # noqa: S311  # when to kill, no secret
    with tempfile.TemporaryDirectory() as name, processes.redis_server(Path(name)) as port:
        folder = Path(name)
        processes.ended(start(on, folder, port, "calm"), "the undisturbed run", log(folder, "calm"))
        for number, kill in enumerate(disturbed(on, folder, port, options.kills, moment), 1):
            print(f"kill {number}: {kill}")
        with redis.Redis(port=port, protocol=2) as client:
            print(json.dumps(check(folder, client), indent=1))
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
