"""Kill −9 a replay of the tile stream at random moments, restart it, and compare with an undisturbed run.

usage: python bench/kill.py [--kills 12] [--seed 0]

Both runs use a real redis-server that this script starts on a free port of the loopback interface. Checked:
one verdict per frame in ledger and stream, one effect per answer, and bit-identical scores, thresholds,
exposure estimates and version contents.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.protocol import TILES, WEIGHTS, need_shared

FRAME = "SELECT frame_id, verdict, score, threshold, p_value, version, log_ratio, drift FROM frames ORDER BY frame_id"
ANSWER = "SELECT key, frame_id, verdict, effect FROM feedback ORDER BY id"


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, port: int, line: str) -> subprocess.Popen[bytes]:
    """Start a replay in `folder`."""
    settings = {
        "line": line,
        "state_dir": str(folder / line),
        "extractor.weights": str(WEIGHTS),
        "extractor.normalize": "false",
        "policy.false_reject_rate": "0.05",
        "policy.audit_share": "0.1",
        "policy.lesson_after": "5",
        "redis.url": f"redis://127.0.0.1:{port}/0",
    }
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [Path(sys.executable).with_name("driftline"), "replay", TILES / "stream.csv", "--json", *overrides]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)


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


def disturbed(folder: Path, port: int, kills: int, draw: random.Random) -> list[str]:
    """Run with kills: every fourth at any moment of a start, the others soon after new frames were judged."""
    moments = []
    while len(moments) < kills:
        process, before, began = start(folder, port, "killed"), count(folder, "killed"), time.monotonic()
        if len(moments) % 4 == 0:
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
    if start(folder, port, "killed").wait() != 0:
        raise SystemExit("the last run failed")
    return moments


def check(folder: Path, client: redis.Redis) -> dict[str, object]:
    """Compare both runs; raises SystemExit with what differs."""
    found: dict[str, object] = {}
    frames, answers, versions = {}, {}, {}
    for line in ("calm", "killed"):
        db = sqlite3.connect(folder / f"{line}-replay" / "ledger.sqlite")
        frames[line], answers[line] = db.execute(FRAME).fetchall(), db.execute(ANSWER).fetchall()
        stream = [e[1][b"frame_id"].decode() for e in client.xrange(f"driftline:{line}-replay:verdicts")]
        manifests = sorted((folder / f"{line}-replay" / "store" / "versions").glob("*.json"))
        held = [json.loads(path.read_text()) for path in manifests]
        versions[line] = [
            {k: v[k] for k in ("number", "blobs", "threshold", "added", "refused", "gate", "feedback_through")}
            for v in held
        ]
        ids = [row[0] for row in frames[line]]
        if sorted(stream) != sorted(ids) or len(set(ids)) != len(ids):
            raise SystemExit(f"{line}: {len(stream)} verdicts in the stream, {len(ids)} in the ledger")
        keys = [row[0] for row in answers[line]]
        if len(set(keys)) != len(keys):
            raise SystemExit(f"{line}: an answer has two effects")
        intervals = [v["feedback_through"] for v in held]
        if intervals != sorted(intervals):
            raise SystemExit(f"{line}: versions overlap in the feedback they include: {intervals}")
        found[line] = {"frames": len(ids), "verdicts": len(stream), "answers": len(keys), "versions": len(held)}
    for name, pair in (("frames", frames), ("answers", answers), ("versions", versions)):
        calm, killed = _strip(name, pair["calm"]), _strip(name, pair["killed"])
        if calm != killed:
            raise SystemExit(f"{name} differ: " + str([p for p in zip(calm, killed, strict=False) if p[0] != p[1]][:2]))
    return found | {
        "bit-identical": "frames (verdict, score, threshold, p-value, version, exposure), answers, versions (blobs)"
    }


def _strip(name: str, rows: list) -> list:
    """Without what names a time: the causes' onset in a frame's drift state."""
    if name != "frames":
        return rows
    return [(*row[:-1], json.loads(row[-1]).get("deviation"), json.loads(row[-1]).get("trust")) for row in rows]


def main() -> None:
    """Start Redis, run both, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    need_shared()
    port, began = free_port(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            client = redis.Redis(port=port, protocol=2)
            while not _up(client):
                time.sleep(0.05)
            if start(Path(folder), port, "calm").wait() != 0:
                raise SystemExit("the undisturbed run failed")
            for i, moment in enumerate(disturbed(Path(folder), port, given.kills, random.Random(given.seed)), 1):  # noqa: S311  # when to kill, no secret
                print(f"kill {i}: {moment}")
            print(json.dumps(check(Path(folder), client), indent=1))
        finally:
            server.terminate()
            server.wait()
    print(f"{time.monotonic() - began:.0f} s")


def _up(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


if __name__ == "__main__":
    main()
