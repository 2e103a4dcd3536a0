"""Requests that the console's worker answers."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import httpx
import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.console import refusals
from daemon.console.access import SAFE, Access, Caller, Role
from daemon.console.templating import route
from daemon.console.worker import WARM, Worker, WorkerLost, lost

COMPUTED = re.compile(r"/api/(score|threshold|setup/.+|versions/\d+/compare)|/setup/.+")
OF_WORK = "/api/work"  # told by the worker while there is one
SETUP = "/setup"
OURS = {"connection", "host", "transfer-encoding", "authorization", "x-forwarded-user", "x-forwarded-role"}
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
        caller = self._access.caller(request) if request else None
        if request is None or caller is None:  # whoever is not known starts no process
            await self._app(scope, receive, send)
            return
        path = route(request)
        if path == SETUP and caller.role is Role.ENGINEER:  # who opens it will teach: the network loads meanwhile
            self._warming = asyncio.create_task(self._warm())
        if COMPUTED.fullmatch(path) or (path == OF_WORK and self._worker.running):
            with suppress(ClientDisconnect):
                await (await self._answer(request, caller))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _warm(self) -> None:
        try:
            await (await self._worker.client()).get(f"http://worker{WARM}")
        except (WorkerLost, httpx.TransportError) as error:
            log.warning("worker not started", error=str(error))

    async def _answer(self, request: Request, caller: Caller) -> Response:
        headers = [(name, value) for name, value in request.headers.items() if name not in OURS]
        headers += [("x-forwarded-user", caller.name), ("x-forwarded-role", caller.role.name)]
        path, query = request.scope.get("raw_path") or request.scope["path"].encode(), request.scope["query_string"]
        url = httpx.URL("http://worker", raw_path=path + b"?" + query)
        body = await request.body()
        try:
            answered = await self._sent(request.method, url, headers, body)
        except WorkerLost as error:
            return await refusals.by_kind(request, error)
        kept = {name: value for name, value in answered.headers.items() if name not in {"connection", "content-length"}}
        return Response(answered.content, answered.status_code, kept)

    async def _sent(self, method: str, url: httpx.URL, headers: list[tuple[str, str]], body: bytes) -> httpx.Response:
        """The worker's answer. One that ends just now did not get this request, or was asked what changes nothing: then
        the next one is asked. Raises WorkerLost."""
        try:
            return await (await self._worker.client()).request(method, url, headers=headers, content=body)
        except httpx.TransportError as error:
            if not isinstance(error, httpx.ConnectError) and method not in SAFE:
                raise lost(f"its process ended: {error or type(error).__name__}") from error
        await self._worker.ended()
        try:
            return await (await self._worker.client()).request(method, url, headers=headers, content=body)
        except httpx.TransportError as error:
            raise lost(f"none, twice: {error or type(error).__name__}") from error
