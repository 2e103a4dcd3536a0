"""The streams' contract, over an in-process and a real Redis."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from servers import RealRedis, absent_redis

from daemon.streams import BATCH, CLAIM_IDLE_MS, DEAD_BYTES, GROUP, RedisLost, RedisStreams


@pytest.fixture
def streams(client: redis.Redis) -> RedisStreams:
    return RedisStreams(client, "test", "driftline", "line1")


def restarted(wire: RedisStreams) -> RedisStreams:
    return RedisStreams(wire._client, "test", "driftline", "line1")


def test_streams_are_named_by_prefix_and_line(streams: RedisStreams) -> None:
    assert streams.name("frames") == "driftline:line1:frames"


def test_frames_come_in_order_once(streams: RedisStreams) -> None:
    for i in range(BATCH + 3):
        streams.send("frames", {"n": str(i)})
    read = streams.read("frames") + streams.read("frames")
    assert [m.text("n") for m in read] == [str(i) for i in range(BATCH + 3)]
    for message in read:
        streams.acknowledge(message)
    assert streams.read("frames") == []
    assert restarted(streams).read("frames") == []


def test_an_acknowledged_frame_leaves_redis_at_once(streams: RedisStreams) -> None:
    for i in range(3):
        streams.send("frames", {"n": str(i)})
    for message in streams.read("frames")[:2]:
        streams.acknowledge(message)
    assert streams._client.xlen(streams.name("frames")) == 1
    assert [m.text("n") for m in restarted(streams).read("frames")] == ["2"]


def test_a_frame_that_others_read_too_is_left_for_them(streams: RedisStreams) -> None:
    streams._client.xgroup_create(streams.name("frames"), "archive", id="0", mkstream=True)
    streams.send("frames", {"n": "1"})
    (message,) = streams.read("frames")
    streams.acknowledge(message)
    assert streams._client.xlen(streams.name("frames")) == 1


def test_a_refused_frame_leaves_redis_too(streams: RedisStreams) -> None:
    streams.send("frames", {"n": "1"})
    (message,) = streams.read("frames")
    streams.bury(message, "no image")
    assert streams._client.xlen(streams.name("frames")) == 0


def test_an_acknowledged_answer_stays_until_it_is_trimmed(streams: RedisStreams) -> None:
    streams.send("feedback", {"n": "1"})
    (message,) = streams.read("feedback")
    streams.acknowledge(message)
    assert streams._client.xlen(streams.name("feedback")) == 1


def test_whether_frames_wait_is_told_right_though_entries_were_withdrawn_or_trimmed(streams: RedisStreams) -> None:
    name, client = streams.name("frames"), streams._client
    assert streams.read("frames") == []
    assert not streams.waiting("frames")
    entries = [streams.send("frames", {"n": str(i)}) for i in range(4)]
    assert streams.waiting("frames")
    client.xdel(name, entries[1])
    assert streams.waiting("frames"), "not read yet"
    read = streams.read("frames")
    assert streams.waiting("frames"), "not acknowledged yet"
    for message in read:
        streams.acknowledge(message)
    assert not streams.waiting("frames")
    streams.send("frames", {"n": "undelivered"})
    client.xtrim(name, maxlen=0, approximate=False)
    assert not streams.waiting("frames"), "nothing is there any more"


@pytest.mark.timeout(10)
def test_without_time_to_wait_it_does_not_wait(streams: RedisStreams) -> None:
    assert streams.read("frames", 0) == []


def test_what_was_sent_before_the_first_start_is_not_missed(streams: RedisStreams) -> None:
    streams._client.xadd("driftline:line1:frames", {"n": "early"})
    assert [m.text("n") for m in streams.read("frames")] == ["early"]


def test_after_a_crash_own_pending_entries_come_first(streams: RedisStreams) -> None:
    for i in range(3):
        streams.send("frames", {"n": str(i)})
    first = streams.read("frames")
    streams.acknowledge(first[0])
    streams.send("frames", {"n": "new"})
    again = restarted(streams)
    pending = again.read("frames")
    assert [m.text("n") for m in pending] == ["1", "2"]
    for message in pending:
        again.acknowledge(message)
    assert [m.text("n") for m in again.read("frames")] == ["new"]


def test_what_another_consumer_abandoned_is_reclaimed(streams: RedisStreams) -> None:
    streams.send("frames", {"n": "lost"})
    streams.prepare()
    streams._client.xreadgroup(GROUP, "dead-colleague", {streams.name("frames"): ">"})
    assert streams.read("frames") == []
    entry = streams.entries("frames")[0][0]
    streams._client.xclaim(streams.name("frames"), GROUP, "dead-colleague", 0, [entry], idle=CLAIM_IDLE_MS + 1)
    assert [m.text("n") for m in streams.read("frames")] == ["lost"]


def test_a_verdict_is_published_once_under_its_id(streams: RedisStreams) -> None:
    assert streams.send("verdicts", {"v": "OK"}, "5-1") == "5-1"
    assert streams.send("verdicts", {"v": "OK"}, "5-1") == "5-1"
    assert streams.send("verdicts", {"v": "NG"}, "5-2") == "5-2"
    assert streams.send("verdicts", {"v": "OK"}, "5-1") == "5-1"
    assert [e for e, _ in streams.entries("verdicts")] == ["5-1", "5-2"]


def test_a_ledger_that_was_lost_does_not_silence_its_successor(streams: RedisStreams) -> None:
    streams.send("verdicts", {"v": "OK"}, "99-1")
    entry = streams.send("verdicts", {"v": "NG"}, "50-1")
    assert entry != "50-1"
    assert len(streams.entries("verdicts")) == 2


def test_a_poison_message_is_buried_with_its_reason(streams: RedisStreams) -> None:
    streams.send("frames", {"x": b"\xff\x00"})
    (message,) = streams.read("frames")
    streams.bury(message, "no frame_id")
    ((_, fields),) = streams.entries("dead")
    assert fields["dead_reason"] == b"no frame_id"
    assert fields["x"] == b"\xff\x00"
    assert "dead_bytes" not in fields
    assert restarted(streams).read("frames") == []


def test_of_an_image_that_is_buried_only_the_beginning_stays_in_redis(streams: RedisStreams) -> None:
    streams.send("frames", {"image": b"x" * 1_000_000, "n": "1"})
    (message,) = streams.read("frames")
    streams.bury(message, "no frame_id")
    ((_, fields),) = streams.entries("dead")
    assert (fields["image"], fields["n"]) == (b"x" * DEAD_BYTES, b"1")
    assert fields["dead_bytes"] == b"1000001"


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    total=st.integers(0, 25), read=st.integers(0, 3), acknowledged=st.sets(st.integers(0, 23)), keep=st.integers(1, 20)
)
def test_trimming_never_drops_what_was_not_acknowledged(
    client: redis.Redis, total: int, read: int, acknowledged: set[int], keep: int
) -> None:
    client.flushall()
    wire = RedisStreams(client, "test", "driftline", "line1")
    for i in range(total):
        wire.send("frames", {"n": str(i)})
    messages = [m for _ in range(read) for m in wire.read("frames")] if total else []
    open_ones = []
    for i, message in enumerate(messages):
        if i in acknowledged:
            wire.acknowledge(message)
        else:
            open_ones.append(message.text("n"))
    unread = [str(i) for i in range(len(messages), total)]
    wire.trim(keep)
    left = [f["n"].decode() for _, f in wire.entries("frames")]
    assert set(open_ones) | set(unread) <= set(left)
    if not open_ones and not unread:
        assert len(left) <= 1, "what is acknowledged may be large and is not kept"


def test_other_streams_are_trimmed_to_length(streams: RedisStreams) -> None:
    for i in range(30):
        streams.send("events", {"n": str(i)})
    streams.trim(10)
    assert [f["n"] for _, f in streams.entries("events")] == [str(i).encode() for i in range(20, 30)]


def test_what_a_reader_of_verdicts_has_not_read_is_not_trimmed(streams: RedisStreams) -> None:
    for i in range(30):
        streams.send("verdicts", {"n": str(i)})
    streams._client.xgroup_create(streams.name("verdicts"), "line-controller", id="0")
    streams.trim(10)
    assert len(streams.entries("verdicts")) == 30


def test_a_trimmed_pending_entry_is_an_empty_message_not_a_crash(streams: RedisStreams) -> None:
    streams.send("frames", {"n": "0"})
    streams.read("frames")
    streams._client.xtrim(streams.name("frames"), maxlen=0, approximate=False)
    again = restarted(streams)
    for message in again.read("frames"):
        assert message.fields == {}
        again.acknowledge(message)
    assert again.read("frames") == []


def test_groups_are_made_anew_when_redis_comes_back_empty(streams: RedisStreams) -> None:
    streams.read("frames")
    streams._client.flushall()
    with pytest.raises(RedisLost):
        streams.read("frames")
    streams.send("frames", {"n": "after"})
    assert [m.text("n") for m in streams.read("frames")] == ["after"]


@pytest.mark.redis
def test_a_lost_server_is_told_and_found_again(real_redis: RealRedis) -> None:
    with real_redis.client() as connection:
        wire = RedisStreams(connection, real_redis.url, "driftline", "line1")
        wire.send("frames", {"n": "kept"})
        wire.read("frames")
        real_redis.stop()
        for call in (
            lambda: wire.read("frames"),
            lambda: wire.send("events", {"x": "y"}),
            lambda: wire.waiting("frames"),
        ):
            with pytest.raises(RedisLost, match="start redis-server"):
                call()
        real_redis.start()
        assert [m.text("n") for m in wire.read("frames")] == ["kept"], "pending entries are read again"


def test_to_ask_whether_redis_answers_changes_nothing(client: redis.Redis) -> None:
    """`driftline status` asks, also of lines that never ran."""
    assert RedisStreams(client, "redis://test", "driftline", "quiet").answers()
    assert client.keys("driftline:quiet:*") == []
    assert not RedisStreams(absent_redis(), "redis://127.0.0.1:1", "driftline", "quiet").answers()
