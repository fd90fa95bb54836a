"""The evidence pack on paper: what the HTML pack holds, as blocks of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from detector.console.pdf import Block, Grid, Lines, Pairs, Title
from detector.console.texts import Words

_MOST_ENTRIES = 400
_EVENT_COLUMNS = ("time", "action", "customer", "branch", "records", "ticket", "event")


def blocks(pack: dict[str, Any], t: Words, title_of: Callable[[str], str]) -> list[Block]:
    """Return a pack's values as blocks, in the order of the HTML."""
    alert = pack["alert"]
    names = " + ".join(title_of(name) for name in alert["detectors"])
    line = f"{t.of('severity', alert['severity'])}  {t.score(alert['score'])}  {names}"
    return [
        Title(t("pack.title"), 1),
        Lines([line]),
        Pairs(pack["facts"]),
        Title(t("alert.why")),
        Lines(pack["sentences"]),
        *_figures(pack, t, title_of),
        *_events(pack, t),
        Title(t("pack.event_ids")),
        Lines([", ".join(alert["event_ids"])]),
        *_history(pack["history"], t),
        *_talk(pack, t),
        Title(t("pack.proof")),
        Pairs(pack["proof"]),
        Lines([t("pack.hint")], is_faint=True),
    ]


def _figures(pack: dict[str, Any], t: Words, title_of: Callable[[str], str]) -> Iterator[Block]:
    yield Title(t("alert.compared"))
    for part in pack["comparisons"]:
        observed = [] if part.observed is None else [(t("alert.observed"), t.number(part.observed))]
        usual = [(who, span) for who, span, _ in part.bands]
        yield Lines([f"{title_of(part.detector)} · {part.quantity} · {part.window}"], is_faint=True)
        yield Pairs([*observed, *usual, *part.facts])
    yield Title(t("alert.contributions"))
    yield Pairs([(title_of(name), f"{n:.2f}") for name, n, _, _ in pack["contributions"]])
    yield Title(t("alert.versions"))
    heads = (t("column.version"), t("column.time"), t("column.score"), t("figure.n_customers"))
    rows = [
        (str(v.number), v.time, t.score(v.score), t.number(v.n_customers)) for v in pack["versions"]
    ]
    yield Grid(heads, rows, (1, 3, 1, 1.5))


def _events(pack: dict[str, Any], t: Words) -> Iterator[Block]:
    if not pack["events"]:
        return
    yield Title(t("alert.samples"))
    rows = [
        (
            e["clock"], e["action"], e["customer"] or "–", e["record_branch"] or "–",
            t.number(e["record_count"]), e["ticket_id"] or "–", e["event_id"],
        )
        for e in pack["events"]
    ]  # fmt: skip
    heads = [t(f"event.{name}") for name in _EVENT_COLUMNS]
    yield Grid(heads, rows, (1, 1.4, 1.8, 1, 1, 1.3, 2.5))


def _history(entries: list[Any], t: Words) -> Iterator[Block]:
    yield Title(t("pack.history"))
    earlier, shown = entries[:-_MOST_ENTRIES], entries[-_MOST_ENTRIES:]
    if earlier:
        yield Lines([t("pack.earlier", n=t.number(len(earlier)))], is_faint=True)
    heads = ("#", t("column.time"), t("journal.actor"), t("journal.action"), t("journal.hash"))
    rows = [(str(e.number), t.moment(e.at_ms), e.actor, e.act, e.digest) for e in shown]
    yield Grid(heads, rows, (0.7, 1.7, 1.3, 1.3, 4.6))


def _talk(pack: dict[str, Any], t: Words) -> Iterator[Block]:
    if pack["comments"]:
        yield Title(t("comment.title"))
    for said in pack["comments"]:
        yield from _said(said["author"], t.moment(said["written_ms"]), said["body"])
    if pack["verdicts"]:
        yield Title(t("column.verdict"))
    for given in pack["verdicts"]:
        version = f"{t('column.version')} {given['alert_version']}"
        by = f"{given['author']}, {t.moment(given['given_ms'])} ({version})"
        yield from _said(t.of("verdict", given["verdict"]), by, given["reason"])
    for asked in pack["questions"]:
        yield Title(t("ask.title"))
        yield from _said(asked["asked_by"], t.moment(asked["asked_ms"]), asked["question"])
        if asked["answered_ms"]:
            yield from _said(t("ask.answered"), t.moment(asked["answered_ms"]), asked["answer"])


def _said(who: str, when: str, what: str) -> Iterator[Block]:
    yield Lines([f"{who}  {when}"], is_faint=True)
    yield Lines([what])
