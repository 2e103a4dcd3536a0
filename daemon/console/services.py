"""The console's services, which its routes get injected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from daemon.console.access import Access
from daemon.console.checks import Checks
from daemon.console.drafts import DraftWorkflow
from daemon.console.events import EventBroadcaster
from daemon.console.history import History
from daemon.console.images import FrameImages
from daemon.console.jobs import Jobs
from daemon.console.line import LineView
from daemon.console.live_scorer import LiveScorer
from daemon.console.parts import Parts
from daemon.console.reviews import Reviews
from daemon.console.setup_check import SetupChecks
from daemon.console.status_view import StatusView
from daemon.console.studies import Studies
from daemon.intake.onto_canvas import Decoded

IMAGES_AT_ONCE = 2
Args = TypeVarTuple("Args")
T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """The services of one line's console."""

    line: LineView
    access: Access
    status: StatusView
    parts: Parts
    reviews: Reviews
    images: FrameImages
    history: History
    jobs: Jobs
    drafts: DraftWorkflow
    checks: SetupChecks
    studies: Studies
    scorer: LiveScorer
    events: EventBroadcaster
    _images: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(IMAGES_AT_ONCE))
    _scored: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(IMAGES_AT_ONCE))
    _backbone: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))

    async def decoding(self, call: Callable[[*Args], T], *args: *Args) -> T:
        """Run `call` in a thread; for calls that decode images, of which a few of a hundred million pixels fill the
        memory."""
        return await to_thread.run_sync(call, *args, limiter=self._images)

    async def scoring(self, decode: Callable[[bytes], Decoded], call: Callable[[Decoded], T], data: bytes) -> T:
        """Run `call` in a thread with the decoded image; for calls that use the backbone, one after the other. A
        waiting call holds no decoded image, and takes neither a thread nor a place for decoding, which pages need for
        their images. Raises ImageRejected."""
        async with self._scored:
            seen = await self.decoding(decode, data)
            return await to_thread.run_sync(call, seen, limiter=self._backbone)


def services_of(line: LineView, access: Access) -> Services:
    """The console's services; nothing is read yet."""
    status, jobs = StatusView(line), Jobs()
    drafts = DraftWorkflow(line, jobs)
    return Services(
        line=line,
        access=access,
        status=status,
        parts=Parts(line),
        reviews=Reviews(line, Checks(line.state.ledger, line.settings.policy.known_part_every)),
        images=FrameImages(line),
        history=History(line, jobs),
        jobs=jobs,
        drafts=drafts,
        checks=SetupChecks(line, jobs, drafts),
        studies=Studies(line.state.ledger),
        scorer=LiveScorer(line),
        events=EventBroadcaster(status),
    )


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Injected = Annotated[Services, Depends(_services)]
