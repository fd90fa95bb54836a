"""`/api/v1`, second half: employees, overview, rules, identities, journal, accounts, oneself."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from sqlalchemy import select

from detector.console import (
    alert_changes,
    journal,
    mentions,
    overview_view,
    people,
    queue_query,
    suppressions,
    unmasking,
    viewing,
)
from detector.console.access import (
    AccountKeeper,
    JournalReader,
    OwnAccount,
    Reader,
    Suppressor,
    Triager,
    UnmaskDecider,
)
from detector.console.api import Limit, router_of
from detector.console.api_models import AccountChange, Active, Decision, Feed, NewView, Saved
from detector.console.finding import NoSuchAlertError
from detector.console.journal_chain import first_break
from detector.console.pages_office import keep_account, keep_active
from detector.console.pages_queue import keep_view
from detector.console.people import NewAccount
from detector.console.roles import Right
from detector.console.service import names_for
from detector.store.people import ledger
from detector.store.tables import saved_view

router = router_of("office")


@router.get("/employees/{ref}")
def employee(visit: Reader, ref: str) -> dict[str, Any]:
    """Return a person's risk with its parts and the alerts of 91 days; the look is logged."""
    console, viewer = visit.console, visit.viewer
    with console.store.reading() as db:
        user_id = queue_query.person_behind(db, console.directory, viewer, ref)
        if user_id is None:
            raise NoSuchAlertError("no such person")
        names = names_for(console, db, visit.person)
        today = viewing.newest_day(db, viewer) or date.min
        kept = ledger(db, user_id, today, viewer.branches)
    console.noted(visit.person.login, "employee.look", ref.upper(), way=visit.way)
    return {
        "staff": names.staff(user_id),
        "ref": ref.upper(),
        "risk": kept.risk,
        "parts": kept.parts,
        "alerts": kept.rows,
        "duties": [asdict(duty) for duty in console.staff.of(user_id, today)],
    }


@router.get("/overview")
def overview(visit: Reader) -> dict[str, Any]:
    """Return the figures of the last 30 days."""
    told = overview_view.overview(visit.console, visit.viewer)
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
    riskiest = [
        {**{k: v for k, v in row.items() if k != "user_id"}, "staff": names.staff(row["user_id"])}
        for row in told.riskiest
    ]
    return {**asdict(told), "riskiest": riskiest}


@router.get("/mentions")
def my_mentions(visit: Reader) -> Feed:
    """Return the newest comments that name the token's owner; reading them here marks none."""
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
        rows = mentions.listed(db, visit.viewer)
    told = [{**row, "user_id": names.staff(row["user_id"])} for row in rows]
    return Feed(rows=told, after=0)


@router.get("/suppressions")
def rules(visit: Reader) -> Feed:
    """Return the rules that touch what this person may see, newest first."""
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
        rows = suppressions.listed(db, visit.viewer)
    told = [{**row, "user_id": row["user_id"] and names.staff(row["user_id"])} for row in rows]
    return Feed(rows=told, after=0)


@router.post("/suppressions/{number}/end")
def end_rule(visit: Suppressor, number: int) -> Saved:
    """End a rule now."""
    return Saved(saved={"ended": alert_changes.end_suppression(visit, number)})


@router.get("/unmask-requests")
def requests(visit: OwnAccount) -> Feed:
    """Return requests to see identities: one's own, or all for those who decide."""
    decides = visit.person.may(Right.DECIDE_UNMASK)
    with visit.console.store.reading() as db:
        rows = unmasking.listed(db, visit.viewer)
    mine = [row for row in rows if decides or row["asked_by"] == visit.person.login]
    return Feed(rows=mine, after=0)


@router.post("/unmask-requests/{number}")
def decide(visit: UnmaskDecider, number: int, sent: Decision) -> Saved:
    """Grant or refuse somebody else's request."""
    alert_changes.decide_unmask(visit, number, granted=sent.granted)
    return Saved(saved={"granted": sent.granted})


@router.get("/journal")
def read_journal(
    visit: JournalReader, before: int = 0, limit: Limit = 100, actor: str = "", act: str = ""
) -> Feed:
    """Return the audit log, newest first."""
    visit.console.noted(visit.person.login, "journal.look", way=visit.way)
    with visit.console.store.reading() as db:
        found = journal.newest(db, before=before, limit=limit, actor=actor, act=act)
    return Feed(rows=[asdict(entry) for entry in found], after=found[-1].number if found else 0)


@router.get("/journal/verification")
def verify(visit: JournalReader) -> dict[str, Any]:
    """Read the chain from its beginning; name the first broken entry."""
    with visit.console.store.reading() as db:
        last, broken = first_break(journal.entries(db))
    return {
        "whole": broken is None,
        "n_entries": 0 if last is None else last.number,
        "broken": None if broken is None else asdict(broken),
    }


@router.get("/accounts")
def accounts(visit: AccountKeeper) -> Feed:
    """Return all accounts, without anything of their passwords."""
    with visit.console.store.reading() as db:
        rows = people.everybody(db)
    secret = {"password_hash", "n_failures", "locked_until_ms"}
    told = [{name: value for name, value in row.items() if name not in secret} for row in rows]
    return Feed(rows=told, after=0)


@router.post("/accounts", status_code=201)
def save_account(visit: AccountKeeper, sent: AccountChange) -> Saved:
    """Make or change an account; nobody changes their own."""
    branches = None if sent.branches is None else frozenset(sent.branches)
    keep_account(visit, NewAccount(sent.login, sent.name, sent.role, branches, sent.password))
    return Saved(saved={"login": sent.login})


@router.post("/accounts/{login}/active")
def set_active(visit: AccountKeeper, login: str, sent: Active) -> Saved:
    """Let an account in, or keep it out and end its sessions."""
    keep_active(visit, login, active=sent.active)
    return Saved(saved={"active": sent.active})


@router.get("/me")
def me(visit: OwnAccount) -> dict[str, Any]:
    """Return who the token stands for, and what it may do."""
    person = visit.person
    return {
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "branches": None if person.branches is None else sorted(person.branches),
        "rights": sorted(right.value for right in person.rights),
    }


@router.get("/tokens")
def tokens(visit: OwnAccount) -> Feed:
    """Return one's own tokens, without their secrets."""
    with visit.console.store.reading() as db:
        rows = people.tokens_of(db, visit.person.login)
    told = [{k: v for k, v in row.items() if k != "token_digest"} for row in rows]
    return Feed(rows=told, after=0)


@router.post("/tokens/{number}/revoke")
def revoke(visit: OwnAccount, number: int) -> Saved:
    """End one of one's own tokens."""
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        ended = people.revoke_token(db, login, number, console.clock_ms())
        if ended:
            console.note(db, login, "token.revoke", str(number))
    return Saved(saved={"revoked": ended})


@router.get("/views")
def views(visit: Reader) -> Feed:
    """Return one's own saved views and those that are shared."""
    c = saved_view.c
    query = select(c.name, c.owner, c.query, c.is_shared)
    with visit.console.store.reading() as db:
        rows = db.execute(query.where((c.owner == visit.person.login) | c.is_shared)).mappings()
        return Feed(rows=[dict(row) for row in rows], after=0)


@router.post("/views", status_code=201)
def save_view(visit: Triager, sent: NewView) -> Saved:
    """Keep a queue's address under a name; the same name again replaces it."""
    keep_view(visit, sent.name, sent.query, is_shared=sent.is_shared)
    return Saved(saved={"name": sent.name})
