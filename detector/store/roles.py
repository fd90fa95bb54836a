"""PostgreSQL's three roles: the detector writes, the console judges, Grafana reads views."""

from __future__ import annotations

from typing import Any

import psycopg

from detector.store.migrations import scripts

ROLES = ("detector_writer", "detector_console", "grafana_ro")


def make_roles(db: psycopg.Connection[Any]) -> None:
    """Make the roles that are missing, and say what each may do."""
    make, grant = scripts("postgresql_roles")
    with db.transaction():
        db.execute(make)
        db.execute(grant)


def renew_grants(db: psycopg.Connection[Any]) -> None:
    """Say again what each role may do, if there are roles: tables may be new."""
    found = db.execute("select count(*) from pg_roles where rolname = any(%s)", (list(ROLES),))
    if found.fetchone() == (len(ROLES),):
        _, grant = scripts("postgresql_roles")
        db.execute(grant)
