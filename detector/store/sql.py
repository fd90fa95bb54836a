"""The store's promises, kept by transactions of whatever database is below."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from detector.alerts import Alert
from detector.errors import FencedError, StoreError
from detector.store import statements as sql
from detector.store.base import Activation, Arrival, Checkpoint, Claim, Page
from detector.store.database import Database, Transaction
from detector.store.pages import PageRow, checkpoint_of, digest_of, ends_of, packed, unpacked
from detector.store.rows import row_of

_PAGES_AT_ONCE = 256  # 16 MB of state
_LINES_AT_ONCE = 1_000

T = TypeVar("T")


class SqlStore:
    """The store in a database; see ``detector.store.base.Store``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @property
    def n_retries(self) -> int:
        """How many transactions had to be tried again."""
        return self._db.n_retries

    def claim(self, stream: str, owner: str) -> Claim:
        """Take a stream: from now on, older claims of it write nothing."""
        values = {"stream": stream, "owner": owner}
        ((epoch,),) = self._db.write(lambda do: do.rows(self._timed(sql.CLAIM), values))
        return Claim(stream, owner, int(epoch))

    def last_checkpoint(self, stream: str) -> Checkpoint | None:
        """Return the newest checkpoint of a stream, None if there is none."""
        rows = self._db.read(lambda do: do.rows(sql.CHECKPOINT, {"stream": stream}))
        return checkpoint_of(rows[0], self._db.where) if rows else None

    def state_content(self, claim: Claim, layout: dict[str, Any]) -> bytes:
        """Return the saved state's bytes, array after array as in ``layout``."""

        def work(do: Transaction) -> bytes:
            self._refuse_stale(do, claim, lock="")
            rows = (row for name in layout for row in _pages_of(do, claim.stream, name))
            return b"".join(unpacked(rows, self._db.where))

        return self._db.read(work)

    def write_alerts(self, claim: Claim, alerts: Iterable[Alert]) -> None:
        """Save alerts at once; the same alert again changes nothing."""
        found = list(alerts)
        if found:
            self._write(claim, lambda do: self._save_alerts(do, claim.stream, found))

    def commit(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        alerts: Iterable[Alert],
        pages: Iterable[Page],
    ) -> None:
        """Save alerts, changed pages and position in one transaction."""
        facts = json.dumps(checkpoint.facts)
        digest = digest_of(checkpoint.number, facts)
        found = list(alerts)
        rows = _Repeatable(packed(pages)) if self._db.may_repeat else packed(pages)
        n_tries = 0

        def work(do: Transaction) -> None:
            nonlocal n_tries
            n_tries += 1
            held = do.rows(sql.HELD, {"stream": claim.stream})
            ours = (checkpoint.number, digest, claim.epoch)
            if n_tries > 1 and held == [ours]:
                return  # the first try was committed; only its answer was lost
            self._refuse_older(held[0][0] if held else None, checkpoint.number)
            self._save_pages(do, claim.stream, rows, checkpoint.facts.get("layout", {}))
            values = _checkpoint_row(claim, checkpoint, facts, digest)
            do.rows(self._timed(sql.SAVE_CHECKPOINT), values)
            self._save_alerts(do, claim.stream, found)

        self._write(claim, work)

    def activate(self, claim: Claim, activation: Activation) -> None:
        """Note which digests decide from a position on; the same again changes nothing."""
        values = {
            "stream": claim.stream,
            "position": json.dumps(activation.position),
            "digests": json.dumps(activation.digests),
        }
        self._write(claim, lambda do: do.rows(self._timed(sql.ACTIVATE), values))

    def activations(self, stream: str) -> list[Activation]:
        """Return what was in force in a stream, in the order it came into force."""
        rows = self._db.read(lambda do: do.rows(sql.ACTIVATIONS, {"stream": stream}))
        return [Activation(json.loads(position), json.loads(held)) for position, held in rows]

    def alert_lines(self, stream: str | None = None) -> Iterator[bytes]:
        """Yield saved alerts as lines of the alerts file, in order of emission."""
        after, found = 0, self.arrivals(0, _LINES_AT_ONCE, stream)
        while found:
            for arrival in found:
                yield arrival.line
                after = arrival.number
            found = self.arrivals(after, _LINES_AT_ONCE, stream)

    def arrivals(self, after: int, limit: int, stream: str | None = None) -> list[Arrival]:
        """Return the next alert lines of a stream or of all streams, at most ``limit``."""
        only = "" if stream is None else sql.OF_STREAM
        statement = sql.ALERTS_AFTER + only + sql.BY_ARRIVAL
        values = {"after": after, "limit": limit, "stream": stream}
        rows = self._db.read(lambda do: do.rows(statement, values))
        return [Arrival(number, name, f"{line}\n".encode()) for number, name, line in rows]

    def last_arrival(self) -> int:
        """Return the number of the newest alert line, 0 if there is none."""
        return int(self._db.read(lambda do: do.rows(sql.LAST_ARRIVAL, {}))[0][0])

    def n_arrivals(self, after: int, limit: int, stream: str) -> int:
        """Count the alert lines of a stream after a number, up to ``limit``."""
        values = {"after": after, "limit": limit, "stream": stream}
        rows = self._db.read(lambda do: do.rows(sql.COUNT_AFTER, values))
        return int(rows[0][0])

    def sink_position(self, sink: str) -> int:
        """Return the number of the last arrival a sink has delivered, 0 at first."""
        rows = self._db.read(lambda do: do.rows(sql.SINK, {"sink": sink}))
        return int(rows[0][0]) if rows else 0

    def move_sink(self, sink: str, arrival: int) -> None:
        """Note that a sink has delivered everything up to an arrival; never goes back."""
        values = {"sink": sink, "arrival": arrival}
        self._db.write(lambda do: do.rows(self._timed(sql.MOVE_SINK), values))

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def _write(self, claim: Claim, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` only while the claim holds, and let no one else claim meanwhile."""

        def fenced(do: Transaction) -> T:
            self._refuse_stale(do, claim, lock=self._db.for_update)
            return work(do)

        return self._db.write(fenced)

    def _refuse_stale(self, do: Transaction, claim: Claim, *, lock: str) -> None:
        rows = do.rows(sql.CLAIMED.format(for_update=lock), {"stream": claim.stream})
        epoch, owner = rows[0] if rows else (0, "nobody")
        if epoch != claim.epoch:
            raise FencedError(
                f"stream {claim.stream} has been claimed by {owner} (epoch {epoch}, "
                f"not {claim.epoch})",
                where=self._db.where,
                hint="Another worker goes on; claim the stream again to take it back",
            )

    def _refuse_older(self, held: int | None, number: int) -> None:
        if held is not None and held >= number:
            what = f"holds checkpoint {held}, refused older {number}"
            hint = "Another worker went on; start again from the store"
            raise StoreError(what, where=self._db.where, hint=hint)

    def _save_pages(
        self, do: Transaction, stream: str, rows: Iterable[PageRow], layout: dict[str, Any]
    ) -> None:
        """Save pages, and forget those beyond the end of an array that has become shorter."""
        names = ("name", "page", "content", "digest")
        do.each(
            sql.SAVE_PAGE,
            ({"stream": stream, **dict(zip(names, row, strict=True))} for row in rows),
        )
        ends = ({"stream": stream, "name": name, "page": end} for name, end in ends_of(layout))
        do.each(sql.DROP_PAGES, ends)

    def _save_alerts(self, do: Transaction, stream: str, alerts: list[Alert]) -> None:
        """Save alerts last: the lock on their numbers holds up the other streams."""
        if alerts:
            rows = [row_of(stream, alert) for alert in alerts]
            self._db.lock_arrivals(do)
            do.each(self._timed(sql.SAVE_ALERT), rows)
            do.each(sql.SAVE_EPISODE, rows)

    def _timed(self, statement: str) -> str:
        return statement.format(now_ms=self._db.now_ms)


class _Repeatable:
    """Iterates a second time over what an iterator gave the first time."""

    def __init__(self, source: Iterator[PageRow]) -> None:
        self._source = source
        self._given: list[PageRow] = []

    def __iter__(self) -> Iterator[PageRow]:
        yield from self._given
        for row in self._source:
            self._given.append(row)
            yield row


def _pages_of(do: Transaction, stream: str, name: str) -> Iterator[PageRow]:
    page = 0
    while True:
        values = {"stream": stream, "name": name, "page": page, "limit": _PAGES_AT_ONCE}
        rows = do.rows(sql.PAGES, values)
        yield from rows
        if len(rows) < _PAGES_AT_ONCE:
            return
        page = rows[-1][1] + 1


def _checkpoint_row(
    claim: Claim, checkpoint: Checkpoint, facts: str, digest: bytes
) -> dict[str, Any]:
    newest_ns = checkpoint.newest_event_ns
    return {
        "stream": claim.stream,
        "number": checkpoint.number,
        "facts": facts,
        "digest": digest,
        "epoch": claim.epoch,
        "newest_event_ms": None if newest_ns is None else newest_ns // 1_000_000,
    }
