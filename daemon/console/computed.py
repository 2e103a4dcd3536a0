"""Requests that the console's worker answers."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import Process
from contextlib import suppress
from urllib.parse import quote

import httpx
import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.console import refusals
from daemon.console.access import SAFE, Access, Caller, Role
from daemon.console.templating import route
from daemon.console.worker import ENDING, WARM, Worker, WorkerLost, lost
from daemon.languages.speaking import spoken

COMPUTED = re.compile(
    r"/api/(score|threshold|setup/(begin|images|teach|advise|part|known|check|remedies|live)|versions/\d+/compare)"
    r"|/setup/(part\.jpg|odd/\d+\.jpg|sheets/[\w-]+\.html)"
)
OF_WORK = "/api/work"  # told by the worker while there is one
SETUP = "/setup"
PASSED_ON = {b"accept", b"content-type"}
KEPT_BACK = {"connection", "content-length", "date", ENDING}
ENDS_S, TRIES = 5.0, 3
log = structlog.get_logger()


class Computed:
    """Middleware that lets the worker answer what takes a network or a bank, in the name of the caller."""

    def __init__(self, app: ASGIApp, worker: Worker, access: Access) -> None:
        self._app = app
        self._worker = worker
        self._access = access
        self._warming: asyncio.Task[object] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive) if scope["type"] == "http" else None
        path = route(request) if request else ""
        computed = COMPUTED.fullmatch(path) or (path == OF_WORK and self._worker.running)
        caller = self._access.caller(request) if request and (computed or path == SETUP) else None
        if request and caller and computed:  # whoever is not known starts no process
            with suppress(ClientDisconnect):
                await (await self._answer(request, caller))(scope, receive, send)
            return
        if caller and caller.role is Role.ENGINEER:  # who opens *Setup* will teach: the network loads meanwhile
            self._warming = asyncio.create_task(self._warm())
        await self._app(scope, receive, send)

    async def _warm(self) -> None:
        try:
            client, _ = await self._worker.client()
            await client.get(f"http://worker{WARM}")
        except (WorkerLost, httpx.TransportError) as error:
            log.warning("worker not started", error=str(error))

    async def _answer(self, request: Request, caller: Caller) -> Response:
        headers = [(name, value) for name, value in request.headers.raw if name in PASSED_ON]
        headers += [
            (b"x-forwarded-user", quote(caller.name, safe=" ").encode()),
            (b"x-forwarded-role", caller.role.name.encode()),
            (b"accept-language", spoken().code.encode()),
        ]
        path, query = quote(request.scope["path"]).encode(), request.scope["query_string"]
        body = b"" if request.method in SAFE else await request.body()
        url = httpx.URL("http://worker", raw_path=path + b"?" + query)
        try:
            answered = await self._sent(httpx.Request(request.method, url, headers=headers, content=body))
        except WorkerLost as error:
            return await refusals.by_kind(request, error)
        kept = {name: value for name, value in answered.headers.items() if name not in KEPT_BACK}
        return Response(answered.content, answered.status_code, kept)

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        """The worker's answer. One that ends just now has not looked at the request, or was asked what changes nothing:
        then the next one is asked. Raises WorkerLost."""
        for _ in range(TRIES):
            client, process = await self._worker.client()
            try:
                answered = await client.send(request)
            except httpx.TransportError as error:
                why = f"its process ended: {error or type(error).__name__}"
                if not isinstance(error, httpx.ConnectError) and request.method not in SAFE:
                    raise lost(why) from error
            else:
                if ENDING not in answered.headers:
                    return answered
                why = "none: its process ended"
            await _ended(process)
        raise lost(why)


async def _ended(process: Process) -> None:
    """Wait a little until a worker that answers no more has ended; one that goes on is asked again."""
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), ENDS_S)
