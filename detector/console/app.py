"""The console as an application: routes, errors in words, health, files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from detector import __version__
from detector.console import (
    live,
    pages_alert,
    pages_door,
    pages_office,
    pages_pack,
    pages_people,
    pages_queue,
)
from detector.console.access import ForbiddenError, ForgedError, NotSignedInError, recognised
from detector.console.attempts import Attempts
from detector.console.finding import NoSuchAlertError
from detector.console.rendering import page, words_for
from detector.console.security import BodyTooLargeError, SecurityHeaders
from detector.console.service import Console
from detector.console.triage_actions import ConflictError, RefusedError
from detector.errors import DetectorError, StoreError

API = "/api/"
_FAILURES_PER_ADDRESS = 4  # times those of one login: many people sit behind one address
_ERRORS: dict[type[Exception], tuple[int, str]] = {
    ForbiddenError: (403, "forbidden"),
    ForgedError: (403, "forged"),
    NoSuchAlertError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    BodyTooLargeError: (413, "too_large"),
    RefusedError: (422, "invalid"),
    RequestValidationError: (422, "invalid"),
    StoreError: (503, "store"),
}


def create_app(console: Console) -> FastAPI:
    """Return the application that serves a console."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.closing = asyncio.Event()
        yield
        app.state.closing.set()

    app = FastAPI(
        title="audit-anomaly-detector",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    settings = console.settings
    window_ms = int(settings.sign_in_window.total_seconds() * 1000)
    app.state.console = console
    app.state.streams = set()
    app.state.logins = Attempts(settings.sign_in_failures, window_ms)
    app.state.addresses = Attempts(settings.sign_in_failures * _FAILURES_PER_ADDRESS, window_ms)
    for pages in (
        pages_door, pages_queue, pages_alert, pages_pack, pages_people, pages_office, live,
    ):  # fmt: skip
        app.include_router(pages.router)
    app.add_api_route("/healthz", alive, methods=["GET"], include_in_schema=False)
    app.add_api_route("/readyz", ready, methods=["GET"], include_in_schema=False)
    with resources.as_file(resources.files("detector.console") / "static") as folder:
        app.mount("/static", StaticFiles(directory=Path(folder)), name="static")
    for kind in _ERRORS:
        app.add_exception_handler(kind, _told)
    app.add_exception_handler(NotSignedInError, _to_the_door)
    app.add_exception_handler(HTTPException, _told_http)
    app.add_middleware(SecurityHeaders)
    return app


def alive() -> PlainTextResponse:
    """Tell that the process answers."""
    return PlainTextResponse("alive\n")


def ready(request: Request) -> PlainTextResponse:
    """Tell whether the store can be read; a balancer sends nobody here while it cannot."""
    console: Console = request.app.state.console
    try:
        with console.store.reading() as db:
            db.exec_driver_sql("select 1")
    except StoreError as error:
        return PlainTextResponse(f"not ready: {error}\n", 503)
    return PlainTextResponse("ready\n")


def _told(request: Request, error: Exception) -> Response:
    """Say in words what did not work; never more than the visitor may know."""
    status, code = next(told for kind, told in _ERRORS.items() if isinstance(error, kind))
    if isinstance(error, RefusedError):
        code = error.code
    return _problem(request, status, code)


def _told_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _problem(request, status, "not_found" if status in {404, 405} else "invalid")


def _problem(request: Request, status: int, code: str) -> Response:
    try:
        visit = recognised(request)
    except DetectorError:
        visit = None
    t = words_for(request, visit)
    if request.url.path.startswith(API):
        return JSONResponse({"error": {"code": code, "message": t(f"problem.{code}")}}, status)
    values = {"title": t("problem.title"), "text": t(f"problem.{code}")}
    return page(request, "message.html", visit, status=status, **values)


def _to_the_door(request: Request, _error: Exception) -> Response:
    """Send a browser to the sign-in, and back afterwards; tell a program that it is unknown."""
    path = request.url.path
    if path.startswith(API) or request.headers.get("accept", "").startswith("text/event-stream"):
        told = {"error": {"code": "not_signed_in", "message": "a valid token or session is needed"}}
        return JSONResponse(told, 401, headers={"WWW-Authenticate": "Bearer"})
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    back = quote(path) if request.method == "GET" and path != "/" else ""
    return RedirectResponse(f"/sign-in?next={back}" if back else "/sign-in", 303)
