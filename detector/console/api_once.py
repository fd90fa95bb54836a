"""A request that is sent twice is done once: `Idempotency-Key`, kept with its answer for a day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool

from detector.console.access import SAFE_METHODS, Visit, recognised
from detector.console.triage_actions import RefusedError
from detector.store.tables import idempotency_key

HEADER = "idempotency-key"
_KEPT_MS = 86_400_000
_LONGEST_KEY = 120
_k = idempotency_key.c


class OnceRoute(APIRoute):
    """A route whose changes carry an idempotency key, if the program sends one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that looks for an answer given before."""
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            key = request.headers.get(HEADER, "")[:_LONGEST_KEY]
            if not key or request.method in SAFE_METHODS:
                return await handle(request)
            visit = await run_in_threadpool(recognised, request)
            said = f"{request.method} {request.url.path}\n".encode() + await request.body()
            once = _Once(visit, key, hashlib.sha256(said).digest())
            before = await run_in_threadpool(once.begin)
            if before is not None:
                return before
            try:
                answer = await handle(request)
            except BaseException:
                await run_in_threadpool(once.forget)
                raise
            await run_in_threadpool(once.keep, answer)
            return answer

        return handle_once


@dataclass(frozen=True, slots=True)
class _Once:
    visit: Visit
    key: str
    digest: bytes

    def begin(self) -> Response | None:
        """Claim the key; return the answer that was given under it.

        Raises:
            RefusedError: it belongs to another request, or to one that is being worked on.
        """
        now = self.visit.console.clock_ms()
        with self.visit.console.store.writing() as db:
            db.execute(delete(idempotency_key).where(_k.created_ms < now - _KEPT_MS))
            values = {"account": self.visit.person.login, "key": self.key, "created_ms": now}
            try:
                with db.begin_nested():
                    db.execute(insert(idempotency_key).values(request_digest=self.digest, **values))
            except IntegrityError:
                held = db.execute(select(idempotency_key).where(*self._mine())).one()
            else:
                return None
        if bytes(held.request_digest) != self.digest:
            raise RefusedError("other_request")
        if held.status is None:
            raise RefusedError("in_progress")
        return Response(
            held.response, held.status, {"Idempotent-Replay": "true"}, "application/json"
        )

    def _mine(self) -> tuple[Any, ...]:
        return _k.account == self.visit.person.login, _k.key == self.key

    def keep(self, answer: Response) -> None:
        """Keep the answer."""
        values = {"status": answer.status_code, "response": bytes(answer.body).decode()}
        with self.visit.console.store.writing() as db:
            db.execute(update(idempotency_key).where(*self._mine()).values(**values))

    def forget(self) -> None:
        """Give the key back: nothing was done under it."""
        with self.visit.console.store.writing() as db:
            db.execute(delete(idempotency_key).where(*self._mine()))
