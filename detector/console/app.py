"""The console as an application: routes, errors in words, health, files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from detector.console import (
    api,
    api_office,
    live,
    oidc,
    pages_alert,
    pages_door,
    pages_mentions,
    pages_office,
    pages_pack,
    pages_people,
    pages_queue,
)
from detector.console.access import ForbiddenError, ForgedError, NotSignedInError, recognised
from detector.console.api import TooManyCallsError
from detector.console.attempts import Attempts
from detector.console.finding import NoSuchAlertError
from detector.console.metrics import Counting, Metrics
from detector.console.release import VERSION
from detector.console.rendering import page, words_for
from detector.console.security import SecurityHeaders
from detector.console.service import Console
from detector.console.settings import ConsoleSettings
from detector.console.triage_actions import ConflictError, RefusedError
from detector.console.webhooks import delivering
from detector.errors import DetectorError, OptionError, StoreError

_FAILURES_PER_ADDRESS = 4  # times those of one login: many people sit behind one address
MAX_BODY_BYTES = 262_144
_HTTP_PROBLEMS = {404: "not_found", 405: "not_found", 413: "too_large"}
_ERRORS: dict[type[Exception], tuple[int, str]] = {
    ForbiddenError: (403, "forbidden"),
    ForgedError: (403, "forged"),
    NoSuchAlertError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    RefusedError: (422, "invalid"),
    RequestValidationError: (422, "invalid"),
    OptionError: (422, "invalid"),  # a cursor of another list
    TooManyCallsError: (429, "too_many"),
    StoreError: (503, "store"),
}


def create_app(console: Console) -> FastAPI:
    """Return the application that serves a console."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.closing = asyncio.Event()
        url = str(console.settings.public_url or "").rstrip("/")
        with delivering(console.store, console.webhooks, url, console.telemetry):
            yield
            app.state.closing.set()

    app = FastAPI(
        title="audit-anomaly-detector",
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        max_body_size=MAX_BODY_BYTES,
    )
    settings = console.settings
    window_ms = int(settings.sign_in_window.total_seconds() * 1000)
    app.state.console = console
    app.state.streams = set()
    app.state.logins = Attempts(settings.sign_in_failures, window_ms)
    app.state.addresses = Attempts(settings.sign_in_failures * _FAILURES_PER_ADDRESS, window_ms)
    app.state.calls = Attempts(settings.api_calls_per_minute, 60_000)
    _add_routes(app, settings)
    for kind in _ERRORS:
        app.add_exception_handler(kind, _told)
    app.add_exception_handler(NotSignedInError, _to_the_door)
    app.add_exception_handler(HTTPException, _told_http)
    metrics = Metrics(app.state.streams, console.telemetry)
    app.state.metrics = metrics
    app.add_api_route("/metrics", told_metrics, include_in_schema=False)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Counting, metrics=metrics)
    return app


def _add_routes(app: FastAPI, settings: ConsoleSettings) -> None:
    for part in (
        pages_door, pages_queue, pages_alert, pages_pack, pages_people, pages_mentions,
        pages_office, live, api, api_office,
    ):  # fmt: skip
        app.include_router(part.router)
    if settings.oidc is not None:
        app.include_router(oidc.router)
    app.add_api_route(
        f"{api.PREFIX}/openapi.json", lambda: api.describe(app), include_in_schema=False
    )
    app.add_api_route("/healthz", alive, methods=["GET"], include_in_schema=False)
    app.add_api_route("/readyz", ready, methods=["GET"], include_in_schema=False)
    with resources.as_file(resources.files("detector.console") / "static") as folder:
        app.mount("/static", StaticFiles(directory=Path(folder)), name="static")


def alive() -> PlainTextResponse:
    """Tell that the process answers."""
    return PlainTextResponse("alive\n")


def told_metrics(request: Request) -> Response:
    """Return what Prometheus reads."""
    content, kind = request.app.state.metrics.page()
    return Response(content, media_type=kind)


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
    if isinstance(error, StoreError):
        request.app.state.metrics.log.error("store", why=str(error))
    answer = _problem(request, status, code)
    if isinstance(error, TooManyCallsError):
        answer.headers["Retry-After"] = str(error.wait_s)
    return answer


def _told_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _problem(request, status, _HTTP_PROBLEMS.get(status, "invalid"))


def _problem(request: Request, status: int, code: str) -> Response:
    try:
        visit = recognised(request)
    except DetectorError:
        visit = None
    t = words_for(request, visit)
    if request.url.path.startswith(api.PREFIX):
        return JSONResponse({"error": {"code": code, "message": t(f"problem.{code}")}}, status)
    values: dict[str, Any] = {"title": t("problem.title"), "text": t(f"problem.{code}")}
    return page(request, "message.html", visit, status=status, **values)


def _to_the_door(request: Request, _error: Exception) -> Response:
    """Send a browser to the sign-in, and back afterwards; tell a program that it is unknown."""
    path = request.url.path
    if path.startswith(api.PREFIX) or request.headers.get("accept", "").startswith(
        "text/event-stream"
    ):
        told = {"error": {"code": "not_signed_in", "message": "a valid token or session is needed"}}
        return JSONResponse(told, 401, headers={"WWW-Authenticate": "Bearer"})
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    back = quote(path) if request.method == "GET" and path != "/" else ""
    return RedirectResponse(f"/sign-in?next={back}" if back else "/sign-in", 303)
