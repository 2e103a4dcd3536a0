"""Login in a browser: the token, which programs send as a header, is kept as a cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from daemon.console.services import Injected
from daemon.console.templating import templates

COOKIE_S = 90 * 86_400
router = APIRouter(include_in_schema=False)


@router.get("/login", response_class=HTMLResponse)
def page(request: Request, services: Injected) -> Response:
    """Asks for a token."""
    return templates.TemplateResponse(
        request, "login.html.j2", {"line": services.line.settings.line, "root": request.scope["root_path"]}
    )


@router.post("/login", status_code=204)
def login(
    request: Request, response: Response, services: Injected, token: Annotated[str, Body(embed=True, max_length=200)]
) -> None:
    """Remember a token in this browser, out of reach of its scripts. Answers 401 for one that nobody has."""
    if services.access.holder(token) is None:
        raise HTTPException(401, "this token is not known: ask your line engineer")
    secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    path = _path(request)
    response.set_cookie(
        services.access.cookie, token, max_age=COOKIE_S, path=path, httponly=True, samesite="strict", secure=secure
    )


@router.post("/logout", status_code=204)
def logout(request: Request, response: Response, services: Injected) -> None:
    """Forget the token in this browser."""
    response.delete_cookie(services.access.cookie, path=_path(request))


def _path(request: Request) -> str:
    """Where the cookie is sent: lines below other paths of this host have their own."""
    return f"{request.scope['root_path']}/"
