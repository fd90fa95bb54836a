"""The console's own tables, and those of the detector it reads.

PostgreSQL: one database, two roles. SQLite: two files, the console's own and, attached read-only,
the detector's. Times are milliseconds, UTC.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only plain integers



class Day(TypeDecorator[str]):
    """A local day as ISO text in Python; PostgreSQL keeps it as a date."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type the database has for it."""
        return dialect.type_descriptor(Date() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Return what the database is given."""
        is_date = value is not None and dialect.name == "postgresql"
        return date.fromisoformat(str(value)) if is_date else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return what Python is given."""
        del dialect
        return None if value is None else str(value)


detector_tables = MetaData()
"""Written by the detector; here only what is read."""

alert = Table(
    "alert",
    detector_tables,
    Column("arrival", Number, primary_key=True),
    Column("alert_id", Text),
    Column("version", Integer),
    Column("time_ms", Number),
    Column("score", Double),
    Column("content", Text),
)
episode = Table(
    "episode",
    detector_tables,
    Column("alert_id", Text, primary_key=True),
    Column("version", Integer),
    Column("arrival", Number),
    Column("first_arrival", Number),
    Column("opened_ms", Number),
    Column("time_ms", Number),
    Column("day", Day),
    Column("score", Double),
    Column("severity", Text),
    Column("detector", Text),
    Column("detectors", Text),
    Column("user_id", Text),
    Column("user_role", Text),
    Column("user_branch", Text),
    Column("learning", Boolean),
    Column("n_events", Number),
    Column("n_records", Number),
    Column("n_customers", Number),
)
checkpoint = Table(
    "checkpoint",
    detector_tables,
    Column("stream", Text, primary_key=True),
    Column("newest_event_ms", Number),
    Column("saved_ms", Number),
)

console_tables = MetaData()
"""Written by the console."""

account = Table(
    "account",
    console_tables,
    Column("login", String(120), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("branches", JSON),  # null: all of them
    Column("password", Text),  # argon2; null: signs in elsewhere
    Column("language", String(5), nullable=False),
    Column("theme", String(5), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_ms", Number, nullable=False),
)
session = Table(
    "session",
    console_tables,
    Column("digest", String(64), primary_key=True),
    Column("login", ForeignKey("account.login"), nullable=False),
    Column("created_ms", Number, nullable=False),
    Column("seen_ms", Number, nullable=False),
)
sign_in_failure = Table(
    "sign_in_failure",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("key", String(160), nullable=False),
    Column("at_ms", Number, nullable=False),
    Index("sign_in_failure_by_key", "key", "at_ms"),
)
token = Table(
    "token",
    console_tables,
    Column("token_id", String(20), primary_key=True),
    Column("login", ForeignKey("account.login"), nullable=False),
    Column("name", String(120), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_ms", Number, nullable=False),
    Column("expires_ms", Number, nullable=False),
    Column("revoked_ms", Number),
)
idempotency = Table(
    "idempotency",
    console_tables,
    Column("login", String(120), primary_key=True),
    Column("key", String(120), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("at_ms", Number, nullable=False),
)
triage = Table(
    "triage",
    console_tables,
    Column("alert_id", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("assignee", String(120)),
    Column("verdict", String(20)),
    Column("verdict_reason", Text),
    Column("verdict_version", Integer),
    Column("first_look_ms", Number),
    Column("decided_ms", Number),
    Column("changed_ms", Number, nullable=False),
    Column("changed_by", String(120), nullable=False),
    Index("triage_by_status", "status"),
)
comment = Table(
    "comment",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("alert_id", String(64), nullable=False),
    Column("author", String(120), nullable=False),
    Column("text", Text, nullable=False),
    Column("mentions", JSON, nullable=False),
    Column("at_ms", Number, nullable=False),
    Index("comment_by_alert", "alert_id"),
)
justification = Table(
    "justification",
    console_tables,
    Column("request_id", String(20), primary_key=True),
    Column("alert_id", String(64), nullable=False),
    Column("asked_by", String(120), nullable=False),
    Column("question", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("asked_ms", Number, nullable=False),
    Column("expires_ms", Number, nullable=False),
    Column("answer", Text),
    Column("answered_ms", Number),
    Index("justification_by_alert", "alert_id"),
)
suppression = Table(
    "suppression",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("author", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("detector", String(40)),
    Column("user_id", Text),
    Column("user_role", Text),
    Column("user_branch", Text),
    Column("below_score", Double, nullable=False),
    Column("created_ms", Number, nullable=False),
    Column("expires_ms", Number, nullable=False),
    Column("ended_ms", Number),
    Column("ended_by", String(120)),
)
unmask = Table(
    "unmask",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("alert_id", String(64), nullable=False),
    Column("asked_by", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_ms", Number, nullable=False),
    Column("decided_by", String(120)),
    Column("decided_ms", Number),
    Column("granted", Boolean),
    Column("expires_ms", Number),
    Index("unmask_by_person", "user_id", "asked_by"),
)
saved_view = Table(
    "saved_view",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("owner", String(120), nullable=False),
    Column("name", String(80), nullable=False),
    Column("query", Text, nullable=False),
    UniqueConstraint("owner", "name"),
)
journal = Table(
    "journal",
    console_tables,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at_ms", Number, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", Text, nullable=False),  # JSON, canonical
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Index("journal_by_subject", "subject"),
)
verdict_event = Table(
    "verdict_event",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("at_ms", Number, nullable=False),
    Column("alert_id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("detectors", JSON, nullable=False),
    Column("verdict", String(20)),  # null: taken back
    Column("reason", Text),
    Column("author", String(120), nullable=False),
)
access_event = Table(
    "access_event",
    console_tables,
    Column("number", Number, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("user_role", Text),
    Column("time_ms", Number, nullable=False),
    Column("day", Day, nullable=False),
    Column("quarter", Integer, nullable=False),  # quarter of an hour of the local day
    Column("system", Text),
    Column("action", Text, nullable=False),
    Column("customer_id", Text),
    Column("record_branch", Text),
    Column("record_count", Number, nullable=False),
    Column("data_class", Text),
    Column("ticket_id", Text),
    Column("outcome", Text),
    Index("access_event_by_user", "user_id", "day"),
    Index("access_event_by_role", "user_role", "day"),
)
