"""The line's Redis Streams: read by consumer groups, written with explicit ids, so that nothing is lost or doubled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Concatenate, ParamSpec, TypeVar

import redis

from daemon.settings.addresses import without_password
from memory.errors import DriftlineError

GROUP = "driftline"
CONSUMER = "scorer"
CLAIM_IDLE_MS = 60_000
BATCH = 8
DEAD_BYTES = 4_096

P = ParamSpec("P")
T = TypeVar("T")


class Stream(StrEnum):
    """The names of a line's streams: frames and feedback come in; verdicts, events and dead letters go out."""

    FRAMES = "frames"
    VERDICTS = "verdicts"
    FEEDBACK = "feedback"
    EVENTS = "events"
    DEAD = "dead"


class RedisLost(DriftlineError):
    """Redis does not answer; what was not acknowledged will be delivered again."""


@dataclass(frozen=True)
class Message:
    """A stream entry that is pending until acknowledged. `fields` is empty where trimming removed its content."""

    stream: Stream
    entry: str
    fields: Mapping[str, bytes]

    def text(self, name: str) -> str | None:
        """A field as text, None where it is absent. Raises UnicodeDecodeError where it is not UTF-8."""
        value = self.fields.get(name)
        return None if value is None else value.decode()


def _guarded(call: Callable[Concatenate[RedisStreams, P], T]) -> Callable[Concatenate[RedisStreams, P], T]:
    """A decorator that turns errors of Redis into RedisLost, and creates the groups where Redis came back without
    them."""

    def guarded(self: RedisStreams, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            if not self.prepared:
                self.prepare()
            return call(self, *args, **kwargs)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            self.prepared = False
            raise RedisLost(
                expected=f"Redis at {self.url}",
                came=str(error),
                do="start redis-server or correct redis.url; the service goes on by itself when it answers",
            ) from error
        except redis.RedisError as error:
            # NOGROUP after a restart without persistence, MISCONF on a full disk, OOM, READONLY, NOAUTH, ...
            self.prepared = False
            raise RedisLost(
                expected="Redis to take our commands",
                came=str(error),
                do="see what Redis says; lost consumer groups are made anew, the rest is tried again",
            ) from error

    return functools.update_wrapper(guarded, call)


class RedisStreams:
    """The five streams of one line: frames and feedback in, verdicts, events and dead letters out.

    Every method raises RedisLost when Redis is away. Nothing connects before the first call.
    """

    def __init__(self, client: redis.Redis, url: str, prefix: str, line: str) -> None:
        self._client: Any = client  # redis-py's own annotations mix the sync and async clients
        self.url = without_password(url)
        self.prepared = False
        self._names = {stream: f"{prefix}:{line}:{stream}" for stream in Stream}
        self._caught_up: set[Stream] = set()

    def name(self, stream: Stream) -> str:
        """The full Redis key of a stream."""
        return self._names[stream]

    def prepare(self) -> None:
        """Create the consumer groups, from the streams' beginning, if they are absent."""
        for stream in (Stream.FRAMES, Stream.FEEDBACK):
            try:
                self._client.xgroup_create(self._names[stream], GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        self._caught_up.clear()
        self.prepared = True

    @_guarded
    def read(self, stream: Stream, block_ms: int = 0, most: int = BATCH) -> list[Message]:
        """Up to `most` entries: first our own unacknowledged ones, then others' abandoned ones, then new ones, waiting
        `block_ms` for these."""
        if stream not in self._caught_up:
            # Each batch is acknowledged before the next read, so "0" walks through what is pending.
            own = self._messages(self._client.xreadgroup(GROUP, CONSUMER, {self._names[stream]: "0"}, count=most))
            if own:
                return own
            self._caught_up.add(stream)
        claimed = self._client.xautoclaim(self._names[stream], GROUP, CONSUMER, CLAIM_IDLE_MS, count=most)[1]
        if claimed:
            return self._messages([(self._names[stream], claimed)])
        wait_ms = block_ms or None  # to Redis 0 is for ever
        new = self._client.xreadgroup(GROUP, CONSUMER, {self._names[stream]: ">"}, count=most, block=wait_ms)
        return self._messages(new)

    @_guarded
    def acknowledge(self, message: Message) -> None:
        """Acknowledge a message, whose effect is durable now.

        A frame leaves Redis at once, unless other consumer groups read frames too: images would fill its memory long
        before they are trimmed.
        """
        self._client.xack(self._names[message.stream], GROUP, message.entry)
        self._leave(message)

    @_guarded
    def send(self, stream: Stream, fields: Mapping[str, str | bytes], entry: str = "*") -> str:
        """Append an entry and return its id.

        With an explicit `entry` id the append is idempotent: an id that is in the stream already is left
        alone. If the stream has moved beyond that id without holding it, a new id is given.
        """
        name = self._names[stream]
        try:
            return str(self._client.xadd(name, dict(fields), id=entry).decode())
        except redis.ResponseError as error:
            if entry == "*" or "equal or smaller" not in str(error):
                raise
            if self._client.xrange(name, entry, entry):
                return entry
            return str(self._client.xadd(name, dict(fields)).decode())

    @_guarded
    def bury(self, message: Message, reason: str) -> None:
        """Move a message that cannot be used to the dead-letter stream, with the reason, in one transaction; of long
        fields only the beginning, for images would fill Redis."""
        beginnings = {name: value[:DEAD_BYTES] for name, value in message.fields.items()}
        cut = {"dead_bytes": sum(map(len, message.fields.values()))} if beginnings != message.fields else {}
        with self._client.pipeline(transaction=True) as both:
            both.xadd(
                self._names[Stream.DEAD],
                {
                    **beginnings,
                    **cut,
                    "dead_reason": reason,
                    "dead_stream": message.stream,
                    "dead_entry": message.entry,
                },
            )
            both.xack(self._names[message.stream], GROUP, message.entry)
            both.execute()
        self._leave(message)

    @_guarded
    def trim(self, keep: int) -> None:
        """Shorten the streams. One that has consumer groups keeps from the oldest entry that a group has not
        acknowledged or read; one without keeps its newest `keep` entries. No entry is fetched for it.
        """
        for name in self._names.values():
            if not self._client.exists(name):
                continue
            needed = self._still_needed(name)
            if needed:
                self._client.xtrim(name, minid=min(needed, key=_order), approximate=False)
            else:
                self._client.xtrim(name, maxlen=keep, approximate=False)

    @_guarded
    def entries(self, stream: Stream, after: str = "-") -> list[tuple[str, dict[str, bytes]]]:
        """All entries of a stream after an id, without a group: for replay, tests and the doctor."""
        start = after if after == "-" else f"({after}"
        return [(e.decode(), _named(f)) for e, f in self._client.xrange(self._names[stream], start)]

    @_guarded
    def waiting(self, stream: Stream) -> bool:
        """Whether a stream has entries that are not read yet, or not acknowledged.

        A group's `lag` does not tell: it stays wrong for ever once Redis 7.0 has trimmed undelivered entries, and is
        null once any entry was deleted.
        """
        name = self._names[stream]
        for group in self._client.xinfo_groups(name):
            if group["name"] == GROUP.encode():
                after = f"({group['last-delivered-id'].decode()}"
                return bool(group["pending"]) or bool(self._client.xrange(name, min=after, count=1))
        return False

    @_guarded
    def undelivered(self, stream: Stream) -> int:
        """How many entries nobody has read yet: what is in the stream and not pending, for acknowledged frames leave at
        once; where other groups read too, what Redis tells of ours, or 0."""
        groups = self._client.xinfo_groups(self._names[stream])
        for group in groups:
            if group["name"] == GROUP.encode():
                if len(groups) > 1:
                    return int(group.get("lag") or 0)
                return max(int(self._client.xlen(self._names[stream])) - int(group["pending"]), 0)
        return 0

    def answers(self) -> bool:
        """Whether Redis answers; nothing is written."""
        try:
            self._client.ping()
        except (redis.RedisError, OSError):
            return False
        return True

    def _leave(self, message: Message) -> None:
        name = self._names[message.stream]
        if message.stream is Stream.FRAMES and len(self._client.xinfo_groups(name)) == 1:
            self._client.xdel(name, message.entry)

    def _still_needed(self, name: str) -> list[bytes]:
        """The ids that trimming must keep, for every consumer group: its oldest pending entry and its last delivered
        one."""
        needed: list[bytes] = []
        for group in self._client.xinfo_groups(name):
            needed.append(group["last-delivered-id"])
            pending = self._client.xpending(name, group["name"])
            if pending["pending"]:
                needed.append(pending["min"])
        return needed

    def _messages(self, reply: Any) -> list[Message]:
        short, messages = {name: stream for stream, name in self._names.items()}, []
        streams = reply.items() if isinstance(reply, dict) else reply or []
        for name, entries in streams:
            key = name.decode() if isinstance(name, bytes) else name
            messages += [Message(short[key], entry.decode(), _named(fields)) for entry, fields in entries]
        return messages


def _named(fields: Mapping[bytes, bytes] | None) -> dict[str, bytes]:
    return {name.decode(errors="replace"): value for name, value in (fields or {}).items()}


def _order(entry: bytes) -> tuple[int, int]:
    time_ms, _, sequence = entry.decode().partition("-")
    return int(time_ms), int(sequence)
