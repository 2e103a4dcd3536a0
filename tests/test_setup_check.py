"""Setup judges what was taught: it says what is missed, tries what would find it, and a bad go-live must be meant."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import setups
from conftest import frame
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pictures import png
from servers import until
from setups import sent, taught

from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.service import Service
from memory.geometry import defect_px_at, scale_for
from policies.setup_check import SetupCheck, advice, other_rates, unlike_line
from policies.threshold import calibrate

client = setups.client


def checked(client: TestClient, *images: bytes) -> dict[str, Any]:
    """What came of the check of these images."""
    batch = client.post("/api/setup/known", json={"count": len(images)}).json()["batch"]
    for number, data in enumerate(images):
        reply = client.post("/api/setup/check", params={"batch": batch, "name": f"{number}.png"}, content=data)
        assert reply.status_code == (422 if data in {TORN, SMALL} else 200), reply.text
    summary: dict[str, Any] = client.get("/api/work").json()["check"]
    return summary


TORN, SMALL = b"no image", cv2.imencode(".png", np.zeros((40, 50, 3), np.uint8))[1].tobytes()
BURR, MISSED = png(610, STEADY, Flaw.BURR), png(700)  # the second is no defect at all: nothing finds it


def test_what_is_missed_is_named_and_a_bad_go_live_must_be_meant(client: TestClient) -> None:
    draft = taught(client, batch=sent(client))
    told = checked(client, BURR, MISSED)
    assert (told["found"], told["of"], told["bad"]) == (1, 2, True)
    assert told["words"].startswith(
        "1 of 2 known defects are found: of all such defects 1 to 99 %, with 95 % confidence"
    )
    assert [words[:20] for words in told["advice"]] == ["teach more good part", "draw the region: wha"]
    assert client.get("/api/work").json()["check"] == told
    refused = client.post("/api/setup/live", json={"draft": draft["id"]})
    assert (refused.status_code, refused.json()["came"]) == (409, told["words"])
    live = client.post("/api/setup/live", json={"draft": draft["id"], "meant": True})
    number = live.json()["version"]
    gate = client.get(f"/api/versions/{number}").json()["gate"]
    assert gate["checked"] == {"found": 1, "of": 2, "meant": True}
    assert "1 of 2 known defects found before it went live, which was meant" in client.get(f"/versions/{number}").text


def test_a_good_check_goes_live_and_is_remembered(client: TestClient) -> None:
    draft = taught(client, batch=sent(client))
    told = checked(client, BURR, png(611, STEADY, Flaw.BURR))
    assert (told["bad"], told["advice"]) == (False, [])
    number = client.post("/api/setup/live", json={"draft": draft["id"]}).json()["version"]
    gate = client.get(f"/api/versions/{number}").json()["gate"]
    assert gate["checked"] == {"found": 2, "of": 2, "meant": False}


def test_another_draft_is_checked_on_the_same_defects(client: TestClient) -> None:
    batch = sent(client)
    taught(client, batch=batch)
    assert checked(client, BURR, MISSED)["bad"]
    draft = taught(client, batch=batch, without=["00003-3.png"])
    again = client.get("/api/work").json()["check"]
    assert (again["found"], again["of"], again["bad"]) == (1, 2, True)
    assert client.post("/api/setup/live", json={"draft": draft["id"]}).status_code == 409


def test_nothing_goes_live_in_the_middle_of_a_check_unless_it_is_meant(client: TestClient) -> None:
    draft = taught(client, batch=sent(client))
    batch = client.post("/api/setup/known", json={"count": 3}).json()["batch"]
    client.post("/api/setup/check", params={"batch": batch, "name": "a.png"}, content=BURR)
    refused = client.post("/api/setup/live", json={"draft": draft["id"]})
    assert (refused.status_code, refused.json()["came"]) == (409, "2 of 3 known defects are not checked yet")
    assert client.post("/api/setup/live", json={"draft": draft["id"], "meant": True}).status_code == 201


def test_known_defects_that_cannot_be_read_are_told_and_others_do_not_mix_in(client: TestClient) -> None:
    draft = taught(client, batch=sent(client))
    older = client.post("/api/setup/known", json={"count": 1}).json()["batch"]
    told = checked(client, BURR, TORN)
    assert told["words"].endswith("1 could not be read")
    assert (told["found"], told["of"], told["left"]) == (1, 1, 0)
    told = checked(client, BURR, SMALL)
    assert (told["of"], told["words"][-19:]) == (1, "1 could not be read")
    draft = taught(client, batch=client.get("/api/work").json()["draft"]["batch"])
    again = client.get("/api/work").json()["check"]
    assert (again["of"], again["left"], again["words"][-19:]) == (1, 0, "1 could not be read")
    late = client.post("/api/setup/check", params={"batch": older, "name": "a.png"}, content=MISSED)
    assert late.status_code == 409
    assert client.post("/api/setup/live", json={"draft": draft["id"]}).status_code == 201


@pytest.mark.usefixtures("trained_briefly")
def test_what_would_find_more_is_tried_with_its_cost(client: TestClient) -> None:
    taught(client, batch=sent(client))
    checked(client, BURR, MISSED)
    before = client.get("/api/work").json()["draft"]
    assert client.post("/api/setup/remedies", json={}).status_code == 202
    until(lambda: client.get("/api/work").json()["work"]["ended"])
    work = client.get("/api/work").json()
    assert work["work"]["error"] is None
    rows = work["work"]["found"]["rows"]
    assert rows[0]["what"] == "as it was taught"
    assert {row["detector"] for row in rows} == {"patch-bank", "padim", "simplenet"}
    for row in rows:
        assert "refused" in row or (row["of"] == 2 and row["frame_ms"] > 0 and 0 < row["rate"] <= 1), row
    assert (rows[0]["found"], work["draft"]) == (1, before), "and the draft stays what it was"


def test_parts_unlike_those_of_the_line_are_told(client: TestClient, service: Service) -> None:
    """Castings that are taught on the line of bottles."""
    for number in range(12):
        service.engine.judge(frame(f"passed{number}", png(520 + number)))
    same = taught(client, batch=sent(client))
    assert same["unlike_line"] == ""
    draft = taught(client, batch=sent(client, *(png(number, Scene(wear=1.0, warmth=1.0)) for number in range(12))))
    assert "newest 12 parts that this line has passed" in draft["unlike_line"]


@given(st.lists(st.floats(0.1, 3), min_size=1, max_size=30))
def test_a_check_counts_and_says_how_little_is_known(shares: list[float]) -> None:
    check = SetupCheck(tuple(shares))
    low, high = check.found.interval
    assert low <= sum(share > 1 for share in shares) / len(shares) <= high
    assert check.bad is (sum(share > 1 for share in shares) < 0.9 * len(shares))
    assert ("missed" in check.words) is any(share <= 1 for share in shares)


def test_a_higher_rate_is_offered_where_it_finds_more() -> None:
    goods = list(np.linspace(0, 1, 100))
    values = {rate: calibrate(goods, rate).value for rate in (0.02, 0.05, 0.1, 0.2)}
    defects = [values[0.02] + 0.1, (values[0.02] + values[0.05]) / 2, (values[0.1] + values[0.2]) / 2, 0.0]
    assert [(one.rate, one.found) for one in other_rates(goods, defects, 0.02)] == [(0.05, 2), (0.2, 3)]
    assert other_rates(goods, defects, 0.2) == []


def test_advice_is_given_for_what_is_bad_and_not_done_yet() -> None:
    bad, good = SetupCheck((0.5,)), SetupCheck((2.0,))
    assert len(advice(bad, 20, region_drawn=False)) == 2
    assert advice(bad, 100, region_drawn=True) == []
    assert advice(good, 20, region_drawn=False) == []
    assert SetupCheck(()).bad is False


def test_a_few_frames_tell_nothing_of_the_line() -> None:
    assert unlike_line([5.0] * 9) == ""
    assert "reject 10 of the newest 10" in unlike_line([5.0] * 10)
    assert unlike_line([5.0] * 4 + [0.5] * 6) == ""


@given(st.floats(0.05, 1), st.sampled_from([8, 16, 32]))
def test_the_finest_defect_is_the_inverse_of_the_scale(scale: float, stride_px: int) -> None:
    assert scale_for(defect_px_at(scale, stride_px), stride_px) == pytest.approx(scale)
