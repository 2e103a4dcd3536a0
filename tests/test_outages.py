"""Each thing that the service may lose has a clock of its own."""

from __future__ import annotations

from daemon.outages import BACKOFF_FIRST_S, BACKOFF_LAST_S, Resource


def test_a_loss_is_news_once_and_each_try_comes_a_little_later() -> None:
    redis = Resource("redis")
    assert redis.due(0.0)
    assert redis.lost("refused", 10.0)
    assert (redis.trouble, redis.wait_s) == ("refused", 2 * BACKOFF_FIRST_S)
    assert not redis.due(10.0)
    assert redis.due(10.0 + redis.wait_s)
    assert not redis.lost("timed out", 11.0), "it is known"
    assert (redis.trouble, redis.wait_s) == ("timed out", 4 * BACKOFF_FIRST_S)
    for _ in range(20):
        redis.lost("timed out", 12.0)
    assert redis.wait_s == BACKOFF_LAST_S


def test_what_is_back_may_be_used_at_once_and_is_news_once() -> None:
    redis = Resource("redis")
    assert not redis.regained(), "it was never away"
    redis.lost("refused", 10.0)
    assert redis.regained()
    assert not redis.regained()
    assert (redis.trouble, redis.wait_s, redis.due(10.0)) == (None, BACKOFF_FIRST_S, True)


def test_one_that_is_away_holds_up_no_other() -> None:
    disk, redis = Resource("disk"), Resource("redis")
    disk.lost("full", 10.0)
    assert redis.due(10.0)
