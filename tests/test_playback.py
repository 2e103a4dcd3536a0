"""A data set is played to a copy of the line, never to the line itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import untracked
from pictures import png

from daemon.datasets.playback import Dataset, Item, ReplayError, aside, dataset, play, prepare
from daemon.datasets.rendered import Flaw
from daemon.service import Service
from daemon.settings.load import Settings
from memory.store import Store


def test_a_protocol_is_read_by_role(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "role,image,label,part\nsetup,a.png,good,1\nstream,b.png,crack,2\nprobe,c.png,good,3\nstream,d.png,,\n"
    )
    data = dataset(path)
    assert data.setup == (tmp_path / "a.png",)
    assert [(i.part_id, i.answer, i.path.name) for i in data.stream] == [("2", "defect", "b.png"), ("d", None, "d.png")]


@pytest.mark.parametrize("text", ["role,image\nstream,\n", "role,image\nwrong,a.png\n", "nothing\n1\n"])
def test_a_wrong_protocol_names_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(ReplayError, match="line 2"):
        dataset(path)
    with pytest.raises(ReplayError):
        dataset(tmp_path / "missing.csv")


def test_a_replay_never_touches_the_line(settings: Settings) -> None:
    replayed = aside(settings, [Path("/data")])
    assert replayed.line == "test-replay"
    assert replayed.state_dir.name == "state-replay"
    assert replayed.source.allowed_roots == (Path("/data"),)


def test_a_replay_starts_from_the_live_head_and_can_be_played_again(service: Service, tmp_path: Path) -> None:
    items = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(600 + number, flaw=Flaw.BURR))
        items.append(Item(f"i{number}", "p", path, "defect"))
    data = Dataset((), tuple(items))
    fresh = Store(tmp_path / "fresh")
    live = service.store
    service.store = fresh
    with pytest.raises(ReplayError, match="neither"):
        prepare(service, data, Store(tmp_path / "nothing"), untracked)
    prepare(service, data, live, untracked)
    assert fresh.head().cause == "copy of version 1"  # type: ignore[union-attr]  # it was just copied
    for _ in range(2):
        done: list[str] = []
        play(service, data.stream, lambda item, judged, done=done: done.append(f"{item.frame_id} {judged.verdict}"))
        assert done == ["i0 NG", "i1 NG", "i2 NG"]
    assert service.engine.ledger.counts()["feedback.accepted"] == 3
    assert fresh.newest_number() == 2, "three confirmed defects made one lesson"
    prepare(service, data, live, untracked)
    with pytest.raises(ReplayError, match="remove that folder"):
        prepare(service, Dataset((), data.stream[:2]), live, untracked)
