"""What is odd about a set of taught parts: named, ranked, and left out on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import setups
from conftest import untracked
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from lessons import teach_from
from pictures import png
from setups import sent, taught

from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.learning.survey import LEFT_OUT, TeachError
from daemon.learning.teach import images_in, teach
from daemon.service import Service
from memory.calibration import CalibrationSet
from memory.features import Features
from policies.taught_set import TaughtSet, examine, smaller_kind

client = setups.client
PLAIN = Features(np.ones((4, 3), np.float32), (2, 2))
ODDEST = "00012-12.png"
BAD = ("bad-0.png", "bad-1.png")


@pytest.fixture
def mixed_parts(good_parts: Path) -> Path:
    """Sixteen good parts and two bad ones."""
    for number, name in enumerate(BAD):
        (good_parts / name).write_bytes(png(610 + number, STEADY, Flaw.BURR))
    return good_parts


@given(st.integers(0, 1000), st.sampled_from([0.01, 1.0, 1000.0]), st.integers(3, 20))
def test_two_kinds_are_told_apart_in_whatever_unit_and_order(seed: int, unit: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = np.concatenate([rng.normal(size=(30, 6)), rng.normal(size=(count, 6)) + 30])
    order = rng.permutation(len(kinds))
    assert np.array_equal(smaller_kind(kinds[order] * unit), order >= 30)


@given(st.integers(0, 1000), st.integers(0, 2))
def test_parts_that_change_slowly_and_a_few_odd_ones_are_of_one_kind(seed: int, odd: int) -> None:
    rng = np.random.default_rng(seed)
    drifting = np.arange(40.0)[:, None] + rng.uniform(-0.1, 0.1, (40, 6))
    drifting[:odd] += 100 * np.arange(1, odd + 1)[:, None]
    assert not smaller_kind(drifting).any()


@pytest.mark.parametrize("count", [1, 2, 15])
def test_so_few_parts_are_of_one_kind(count: int) -> None:
    assert not smaller_kind(np.arange(count)[:, None] ** 4.0).any()


def examined(*scores: float) -> TaughtSet:
    return examine(CalibrationSet(tuple(f"p{i}" for i in range(len(scores))), (PLAIN,) * len(scores)), scores)


def test_the_oddest_come_first_and_those_beyond_twice_the_middle_are_unlike_the_others() -> None:
    found = examined(1.0, 3.0, 0.9, 1.1, 2.1, 1.0, 1.2, 0.8, 1.9)
    assert [name for name, _ in found.ranked[:3]] == ["p1", "p4", "p8"]
    assert found.ranked[0][1] == pytest.approx(3.0 / 1.1)
    assert found.unlike == ("p1",)
    assert found.words.startswith("1 of 9 parts look unlike the others (times the middle score): p1 (2.7)")
    assert "teach again without" in found.words


def test_of_parts_alike_or_few_the_oddest_are_named_and_nothing_is_asked() -> None:
    alike, few = examined(*(1.0 + i / 100 for i in range(9))), examined(1.0, 1.0, 9.0)
    assert (alike.unlike, few.unlike) == ((), ())
    assert alike.words == "the oddest parts (times the middle score): p8 (1.0), p7 (1.0), p6 (1.0)"
    assert examined(0.0, 0.0).words.endswith("p0 (0.0), p1 (0.0)")


def test_bad_parts_among_the_taught_are_ranked_first_and_left_out_on_request(
    untaught: Service, mixed_parts: Path
) -> None:
    first = teach_from(untaught, mixed_parts)
    found = first.taught_set
    assert {Path(name).name for name, _ in found.ranked[:2]} == set(BAD)
    assert [Path(name).name for name in found.unlike] == [Path(found.ranked[0][0]).name]
    paths = images_in(mixed_parts)
    again = teach(paths, untaught.engine, untaught.store, "x", untracked, without=(BAD[0], str(mixed_parts / BAD[1])))
    assert {Path(name).name: reason for name, reason in again.refused.items()} == dict.fromkeys(BAD, LEFT_OUT)
    assert len(again.version.added) == 16
    assert again.threshold.value < first.threshold.value
    assert not again.taught_set.unlike


@pytest.mark.parametrize("name", ["other.png", "", "ad-0.png", "elsewhere/bad-0.png"])
def test_a_name_that_no_file_has_is_refused(untaught: Service, mixed_parts: Path, name: str) -> None:
    with pytest.raises(TeachError, match="which none has"):
        teach(images_in(mixed_parts), untaught.engine, untaught.store, "x", untracked, without=(name,))


def test_two_kinds_in_a_folder_are_told(untaught: Service, good_parts: Path) -> None:
    for number in range(5):
        (good_parts / f"blue-{number}.png").write_bytes(png(700 + number, Scene(tint=(0.5, 0.8, 1.5))))
    found = teach_from(untaught, good_parts).taught_set
    assert {Path(name).name for name in found.other_kind} == {f"blue-{number}.png" for number in range(5)}
    assert "5 of 21 parts are of another kind" in found.words


def test_the_setup_page_shows_the_oddest_parts_and_teaches_without_them(client: TestClient) -> None:
    batch = sent(client, *(png(number) for number in range(12)), png(610, STEADY, Flaw.BURR))
    draft = taught(client, batch=batch)
    assert (draft["oddest"][0]["name"], len(draft["oddest"])) == (ODDEST, 12)
    assert draft["odd"].startswith(f"1 of 13 parts look unlike the others (times the middle score): {ODDEST} (")
    shown = client.get("/setup/odd/0.jpg", params={"draft": draft["id"]})
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    for rank, of in ((13, draft["id"]), (0, "another")):
        assert client.get(f"/setup/odd/{rank}.jpg", params={"draft": of}).status_code == 404
    again = taught(client, batch=batch, without=[ODDEST])
    assert (again["parts"], again["without"], list(again["refused"].values())) == (12, [ODDEST], [LEFT_OUT])
    assert ODDEST not in {one["name"] for one in again["oddest"]}
