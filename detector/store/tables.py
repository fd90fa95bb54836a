"""The tables as queries name them; the schema files say how they are made.

The detector writes the first ones, the console the others.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

METADATA = MetaData()

stream = Table(
    "stream",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("epoch", BigInteger),
    Column("owner", Text),
    Column("claimed_ms", BigInteger),
)
alert = Table(
    "alert",
    METADATA,
    Column("arrival", BigInteger, primary_key=True),
    Column("stream", Text),
    Column("alert_id", Text),
    Column("version", Integer),
    Column("time_ms", BigInteger),
    Column("day", Date),
    Column("score", Float),
    Column("severity", Text),
    Column("detector", Text),
    Column("user_id", Text),
    Column("content", Text),
    Column("arrived_ms", BigInteger),
)
episode = Table(
    "episode",
    METADATA,
    Column("alert_id", Text, primary_key=True),
    Column("stream", Text),
    Column("version", Integer),
    Column("arrival", BigInteger),
    Column("first_arrival", BigInteger),
    Column("opened_ms", BigInteger),
    Column("arrived_ms", BigInteger),
    Column("time_ms", BigInteger),
    Column("day", Date),
    Column("score", Float),
    Column("severity", Text),
    Column("detector", Text),
    Column("detectors", Text),
    Column("user_id", Text),
    Column("user_role", Text),
    Column("user_branch", Text),
    Column("learning", Boolean),
    Column("n_events", BigInteger),
    Column("n_records", BigInteger),
    Column("n_customers", BigInteger),
    Column("words", Text),
)
checkpoint = Table(
    "checkpoint",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("number", BigInteger),
    Column("facts", Text),
    Column("digest", LargeBinary),
    Column("epoch", BigInteger),
    Column("newest_event_ms", BigInteger),
    Column("saved_ms", BigInteger),
)
state_page = Table(
    "state_page",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("content", LargeBinary),
    Column("digest", LargeBinary),
)
activation = Table(
    "activation",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("stream", Text),
    Column("position", Text),
    Column("digests", Text),
    Column("activated_ms", BigInteger),
)
sink_position = Table(
    "sink_position",
    METADATA,
    Column("sink", Text, primary_key=True),
    Column("arrival", BigInteger),
    Column("moved_ms", BigInteger),
)
triage = Table(
    "triage",
    METADATA,
    Column("alert_id", Text, primary_key=True),
    Column("status", Text),
    Column("assignee", Text),
    Column("verdict", Text),
    Column("row_version", Integer),
    Column("first_look_ms", BigInteger),
    Column("decided_ms", BigInteger),
    Column("closed_ms", BigInteger),
    Column("changed_ms", BigInteger),
    Column("changed_by", Text),
)
verdict = Table(
    "verdict",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("alert_id", Text),
    Column("alert_version", Integer),
    Column("verdict", Text),
    Column("reason", Text),
    Column("author", Text),
    Column("given_ms", BigInteger),
)
comment = Table(
    "comment",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("alert_id", Text),
    Column("author", Text),
    Column("body", Text),
    Column("written_ms", BigInteger),
)
mention = Table(
    "mention",
    METADATA,
    Column("comment", BigInteger, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("seen_ms", BigInteger),
)
suppression = Table(
    "suppression",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("user_id", Text),
    Column("user_role", Text),
    Column("user_branch", Text),
    Column("detector", Text),
    Column("max_score", Float),
    Column("author", Text),
    Column("reason", Text),
    Column("created_ms", BigInteger),
    Column("expires_ms", BigInteger),
    Column("withdrawn_ms", BigInteger),
    Column("withdrawn_by", Text),
)
justification = Table(
    "justification",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("alert_id", Text),
    Column("token_digest", LargeBinary),
    Column("asked_by", Text),
    Column("question", Text),
    Column("asked_ms", BigInteger),
    Column("expires_ms", BigInteger),
    Column("answer", Text),
    Column("answered_ms", BigInteger),
)
account = Table(
    "account",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("display_name", Text),
    Column("role", Text),
    Column("password_hash", Text),
    Column("language", Text),
    Column("sees_all_branches", Boolean),
    Column("is_disabled", Boolean),
    Column("n_failures", Integer),
    Column("locked_until_ms", BigInteger),
    Column("row_version", Integer),
    Column("created_ms", BigInteger),
)
account_branch = Table(
    "account_branch",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("branch", Text, primary_key=True),
)
session = Table(
    "session",
    METADATA,
    Column("token_digest", LargeBinary, primary_key=True),
    Column("account", Text),
    Column("created_ms", BigInteger),
    Column("seen_ms", BigInteger),
    Column("expires_ms", BigInteger),
)
api_token = Table(
    "api_token",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("account", Text),
    Column("name", Text),
    Column("token_digest", LargeBinary),
    Column("scopes", Text),
    Column("created_ms", BigInteger),
    Column("expires_ms", BigInteger),
    Column("used_ms", BigInteger),
    Column("revoked_ms", BigInteger),
)
idempotency_key = Table(
    "idempotency_key",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_digest", LargeBinary),
    Column("status", Integer),
    Column("response", Text),
    Column("created_ms", BigInteger),
)
saved_view = Table(
    "saved_view",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("owner", Text),
    Column("name", Text),
    Column("query", Text),
    Column("is_shared", Boolean),
)
unmask_request = Table(
    "unmask_request",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("kind", Text),
    Column("pseudonym", Text),
    Column("alert_id", Text),
    Column("asked_by", Text),
    Column("reason", Text),
    Column("asked_ms", BigInteger),
    Column("decided_by", Text),
    Column("is_granted", Boolean),
    Column("decided_ms", BigInteger),
    Column("expires_ms", BigInteger),
)
audit_entry = Table(
    "audit_entry",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("at_ms", BigInteger),
    Column("actor", Text),
    Column("act", Text),
    Column("object", Text),
    Column("detail", Text),
    Column("previous", LargeBinary),
    Column("digest", LargeBinary),
)
anchor = Table(
    "anchor",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("entry", BigInteger),
    Column("digest", LargeBinary),
    Column("key_id", Text),
    Column("signature", LargeBinary),
    Column("place", Text),
    Column("signed_ms", BigInteger),
)
setting = Table(
    "setting",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text),
    Column("changed_by", Text),
    Column("changed_ms", BigInteger),
)

DETECTORS_TABLES = (stream, alert, episode, checkpoint, state_page, activation, sink_position)
CONSOLES_TABLES = tuple(t for t in METADATA.tables.values() if t not in DETECTORS_TABLES)
NUMBERED = {
    alert: "arrival",
    **dict.fromkeys(
        (activation, verdict, comment, suppression, justification, api_token), "number"
    ),
    **dict.fromkeys((saved_view, unmask_request, anchor), "number"),
}
"""Tables whose rows the database numbers, never the same number twice."""
