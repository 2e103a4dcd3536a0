"""The webhook connector: posts every verdict as JSON, signed by Standard Webhooks, and again until it is accepted."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime

import httpx
import structlog
from standardwebhooks.webhooks import Webhook

from daemon.ledger.records import PlantVerdict
from daemon.plant.feed import Feed
from daemon.settings.addresses import without_password
from memory.errors import DriftlineError

TIMEOUT_S = 10.0
PASSED_OVER = {400, 409, 413, 422}
log = structlog.get_logger()


class Undelivered(DriftlineError):
    """The receiver is away or did not accept a verdict; it is posted again."""


async def serve(feed: Feed) -> None:
    """Post every verdict at least once, in order, until cancelled. Raises Undelivered for one that should be posted
    again later.

    Each carries its id (`webhook-id`, the same each time), its time and its signature
    (https://www.standardwebhooks.com). A verdict that the receiver calls unusable (400, 413, 422), or has already
    (409), is recorded as an event and skipped; any other refusal, such as of an expired token, raises Undelivered.
    """
    secret = feed.settings.webhook.secret
    signer = Webhook(secret.get_secret_value()) if secret else None
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        async for verdict in feed.verdicts("webhook", missed=True):
            await _post(feed, client, signer, verdict)


async def _post(feed: Feed, client: httpx.AsyncClient, signer: Webhook | None, verdict: PlantVerdict) -> None:
    url, now = str(feed.settings.webhook.url), datetime.now(UTC)
    body = json.dumps({"type": "verdict", "line": feed.line, "data": asdict(verdict)}, ensure_ascii=False)
    name = f"{feed.line}-{verdict.seq}"
    headers = {"content-type": "application/json", "webhook-id": name, "webhook-timestamp": str(int(now.timestamp()))}
    if signer:
        headers["webhook-signature"] = signer.sign(name, now, body)
    try:
        # Only the status is read: the body of a reply may have no end.
        async with asyncio.timeout(TIMEOUT_S):
            sent = client.build_request("POST", url, content=body.encode(), headers=headers)
            reply = await client.send(sent, stream=True)
            await reply.aclose()
    except (httpx.HTTPError, TimeoutError) as error:
        raise _undelivered(url, f"{type(error).__name__}: {error}") from error
    if reply.is_success:
        return
    if reply.status_code in PASSED_OVER:
        feed.record_event("webhook_refused", frame_id=verdict.frame_id, status=reply.status_code)
        log.error("webhook refused a verdict", frame=verdict.frame_id, status=reply.status_code)
        return
    raise _undelivered(url, f"status {reply.status_code}")


def _undelivered(url: str, came: str) -> Undelivered:
    return Undelivered(
        expected=f"{without_password(url)} to take a verdict",
        came=came,
        do="see to the receiver; verdicts are posted again in order",
    )
