"""Who may do what: six roles, a few rights, one table."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person is to the bank's watch over its staff."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    INVESTIGATOR = "investigator"
    MANAGER = "manager"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Right(StrEnum):
    """One thing a role may or may not do; every route names the one it needs."""

    OWN_ACCOUNT = "own_account"
    READ_ALERTS = "read_alerts"
    TRIAGE = "triage"
    SUPPRESS = "suppress"
    EXPORT = "export"
    ASK_UNMASK = "ask_unmask"
    DECIDE_UNMASK = "decide_unmask"
    SEE_IDENTITIES = "see_identities"
    READ_JOURNAL = "read_journal"
    MANAGE_ACCOUNTS = "manage_accounts"


_READS = frozenset({Right.OWN_ACCOUNT, Right.READ_ALERTS})
_TRIAGES = _READS | {Right.TRIAGE, Right.SUPPRESS, Right.EXPORT, Right.ASK_UNMASK}

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: _READS,
    Role.ANALYST: _TRIAGES,
    Role.INVESTIGATOR: _TRIAGES - {Right.ASK_UNMASK} | {Right.SEE_IDENTITIES, Right.DECIDE_UNMASK},
    Role.MANAGER: _TRIAGES | {Right.DECIDE_UNMASK},
    Role.AUDITOR: _READS | {Right.EXPORT, Right.READ_JOURNAL},
    # Who hands out accounts reads no alerts, and is read by the auditor.
    Role.ADMIN: frozenset({Right.OWN_ACCOUNT, Right.MANAGE_ACCOUNTS}),
}


def may(role: Role, right: Right) -> bool:
    """Tell whether a role has a right.

    >>> may(Role.ANALYST, Right.SEE_IDENTITIES)
    False
    """
    return right in RIGHTS[role]
