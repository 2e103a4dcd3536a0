"""Access control: roles by bearer token or by a trusted proxy; every route names the least role that it serves."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from fastapi import Depends, HTTPException, Request

from daemon.settings.load import ConfigError
from daemon.settings.models import ConsoleSettings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_NAME_CHARS = 64


class Role(IntEnum):
    """The role of a caller, in rising order; each may do all that lower ones may."""

    VIEWER = 1
    OPERATOR = 2
    ENGINEER = 3


@dataclass(frozen=True)
class Caller:
    """The sender of a request, by the name for the audit log."""

    name: str
    role: Role


@dataclass(frozen=True)
class Access:
    """Identifies callers. Without tokens and proxies everyone on this PC is an engineer, and nobody else gets in.

    A browser keeps a token in a `cookie`, which it sends to every port of a PC: each port has one of its own. That of
    the console's worker is `inner`: the console has looked at every request, and names its caller.
    """

    tokens: Mapping[str, Caller]
    proxies: frozenset[str]
    cookie: str
    inner: bool = False

    @property
    def open(self) -> bool:
        """Whether callers need no token and no proxy."""
        return not self.tokens and not self.proxies and not self.inner

    def caller(self, request: Request) -> Caller | None:
        """The caller who sent a request; None where that is not known."""
        if self.inner:
            return Caller(unquote(request.headers["x-forwarded-user"]), Role[request.headers["x-forwarded-role"]])
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        credential = token if scheme.lower() == "bearer" else request.cookies.get(self.cookie, "")
        if credential:
            return self.holder(credential)
        if request.client and request.client.host in self.proxies:
            return _forwarded(request)
        if self.open:
            return Caller(request.headers.get("x-operator", "")[:MAX_NAME_CHARS] or "console", Role.ENGINEER)
        return None

    def sender(self, request: Request) -> str:
        """The key for rate limits: the address, and behind a proxy also the caller's name."""
        host = request.client.host if request.client else "?"
        known = self.caller(request) if host in self.proxies else None
        return f"{host} {known.name}" if known else host

    def holder(self, token: str) -> Caller | None:
        """The caller whose token this is; None for an unknown token."""
        return self.tokens.get(_digest(token))


def access(settings: ConsoleSettings) -> Access:
    """The access that the settings describe. Raises ConfigError where it would let anybody in from outside, and for a
    file of tokens that cannot be read."""
    tokens = _tokens(settings.tokens) if settings.tokens else {}
    guard = Access(tokens, frozenset(settings.proxies), f"driftline-{settings.port}")
    if guard.open and settings.host not in LOOPBACK:
        raise ConfigError(
            expected="tokens or trusted proxies for a console that other PCs can reach",
            came=f"console.host={settings.host} with neither",
            do="`driftline token NAME ROLE`, and name its file in console.tokens; or leave console.host at 127.0.0.1",
        )
    return guard


def inner(settings: ConsoleSettings) -> Access:
    """The access of the console's worker, which listens to the console alone."""
    return Access({}, frozenset(), f"driftline-{settings.port}", inner=True)


def grant(file: Path, name: str, role: Role) -> str:
    """A new token for `name`, whose digest is added to the file; the token itself is stored nowhere."""
    entries = json.loads(file.read_text()) if file.exists() else {}
    token = secrets.token_urlsafe(32)
    entries[_digest(token)] = {"name": name, "role": role.name.lower()}
    file.touch(mode=0o600)
    file.write_text(json.dumps(entries, indent=1))
    return token


def need(least: Role) -> Any:
    """A dependency: the caller, who has at least this role. Answers 401 to strangers, 403 to lower roles."""

    async def caller(request: Request) -> Caller:  # a plain function would take a thread for nothing
        who: Caller | None = request.app.state.services.access.caller(request)
        if who is None:
            raise HTTPException(401, "say who you are: send a bearer token", headers={"WWW-Authenticate": "Bearer"})
        if who.role < least:
            raise HTTPException(403, f"{who.name} is {who.role.name.lower()}; this takes {least.name.lower()}")
        return who

    caller.least = least  # type: ignore[attr-defined]  # a test reads each route's least role
    return Depends(caller)


Viewer = Annotated[Caller, need(Role.VIEWER)]
Operator = Annotated[Caller, need(Role.OPERATOR)]
Engineer = Annotated[Caller, need(Role.ENGINEER)]


def from_elsewhere(request: Request) -> bool:
    """Whether a page of another site sent a request that may change something (CSRF)."""
    if request.method in SAFE:
        return False
    vouched = request.headers.get("sec-fetch-site")
    if vouched is not None:  # the browser knows, whatever name a proxy has put into Host
        return vouched not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def is_loopback(host: str) -> bool:
    """Whether a Host header names this PC; on an open console any other is DNS rebinding."""
    try:
        return (urlsplit(f"//{host}").hostname or "") in LOOPBACK
    except ValueError:
        return False


def _tokens(file: Path) -> dict[str, Caller]:
    try:
        entries = json.loads(file.read_text())
        return {digest: Caller(entry["name"], Role[entry["role"].upper()]) for digest, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            expected="a file of tokens that `driftline token` wrote",
            came=f"{file}: {type(error).__name__}: {error}",
            do="correct console.tokens, or make one with `driftline token NAME ROLE`",
        ) from error


def _forwarded(request: Request) -> Caller | None:
    """The caller whom a proxy names."""
    names, roles = (request.headers.getlist(f"x-forwarded-{what}") for what in ("user", "role"))
    if not len(names) == len(roles) == 1:  # a second one is the client's own, which a proxy should have replaced
        return None
    known = Role.__members__.get(roles[0].upper())
    return Caller(names[0][:MAX_NAME_CHARS], known) if names[0] and known else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
