"""The webhook connector: posts verdicts and reports, signed by Standard Webhooks, and again until they are accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
from standardwebhooks.webhooks import Webhook

from daemon.plant.feed import Feed
from daemon.settings.addresses import without_password
from memory.errors import DriftlineError

TIMEOUT_S = 10.0
PASSED_OVER = {400, 409, 413, 422}
log = structlog.get_logger()


class Undelivered(DriftlineError):
    """The receiver is away or did not accept what was posted; it is posted again."""


async def serve(feed: Feed) -> None:
    """Post every verdict at least once, in order, until cancelled. Raises Undelivered for one that should be posted
    again later.

    Each carries its id (`webhook-id`, the same each time), its time and its signature
    (https://www.standardwebhooks.com). What the receiver calls unusable (400, 413, 422), or has already (409), is
    recorded as an event and skipped; any other refusal, such as of an expired token, raises Undelivered.
    """
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        post = Post.of(feed, client)
        async for verdict in feed.verdicts("webhook", missed=True):
            await post(f"{feed.line}-{verdict.seq}", "verdict", asdict(verdict), frame_id=verdict.frame_id)


async def serve_reports(feed: Feed) -> None:
    """Likewise every report of a shift, on its own: a receiver that takes none holds up no verdict."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        post = Post.of(feed, client)
        async for event in feed.reports("webhook-reports"):
            await post(f"{feed.line}-report-{event.id}", "report", event.detail, report=event.id)


@dataclass(frozen=True)
class Post:
    """Posts to the receiver."""

    feed: Feed
    client: httpx.AsyncClient
    signer: Webhook | None

    @classmethod
    def of(cls, feed: Feed, client: httpx.AsyncClient) -> Post:
        """As the settings say."""
        secret = feed.settings.webhook.secret
        return cls(feed, client, Webhook(secret.get_secret_value()) if secret else None)

    async def __call__(self, name: str, kind: str, data: Mapping[str, Any], **refused: object) -> None:
        """Post `data` of this kind under an id, its `name`. Where the receiver can never use it, an event tells what
        was `refused`. Raises Undelivered."""
        url, now = str(self.feed.settings.webhook.url), datetime.now(UTC)
        body = json.dumps({"type": kind, "line": self.feed.line, "data": data}, ensure_ascii=False)
        headers = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self.signer:
            headers["webhook-signature"] = self.signer.sign(name, now, body)
        try:
            # Only the status is read: the body of a reply may have no end.
            async with asyncio.timeout(TIMEOUT_S):
                sent = self.client.build_request("POST", url, content=body.encode(), headers=headers)
                reply = await self.client.send(sent, stream=True)
                await reply.aclose()
        except (httpx.HTTPError, TimeoutError) as error:
            raise _undelivered(url, f"{type(error).__name__}: {error}") from error
        if reply.is_success:
            return
        if reply.status_code not in PASSED_OVER:
            raise _undelivered(url, f"status {reply.status_code}")
        self.feed.record_event("webhook_refused", **refused, status=reply.status_code)
        log.error("webhook refused", kind=kind, name=name, status=reply.status_code)


def _undelivered(url: str, came: str) -> Undelivered:
    return Undelivered(
        expected=f"{without_password(url)} to take what is posted",
        came=came,
        do="see to the receiver; all is posted again in order",
    )
