"""The detector's statements, the same for every database."""

from __future__ import annotations

from detector.store.rows import ALERT_COLUMNS, EPISODE_COLUMNS


def _listed(names: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{name}" for name in names)


def _renewed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names)


CLAIM = """
insert into stream (stream, epoch, owner, claimed_ms) values (:stream, 1, :owner, {now_ms})
on conflict (stream) do update
set epoch = stream.epoch + 1, owner = excluded.owner, claimed_ms = excluded.claimed_ms
returning epoch
"""
CLAIMED = "select epoch, owner from stream where stream = :stream {for_update}"

CHECKPOINT = "select number, facts, digest, newest_event_ms from checkpoint where stream = :stream"
HELD = "select number, digest, epoch from checkpoint where stream = :stream"
SAVE_CHECKPOINT = """
insert into checkpoint (stream, number, facts, digest, epoch, newest_event_ms, saved_ms)
values (:stream, :number, :facts, :digest, :epoch, :newest_event_ms, {now_ms})
on conflict (stream) do update
set number = excluded.number, facts = excluded.facts, digest = excluded.digest,
    epoch = excluded.epoch, newest_event_ms = excluded.newest_event_ms,
    saved_ms = excluded.saved_ms
"""

PAGES = """
select name, page, content, digest from state_page
where stream = :stream and name = :name and page >= :page order by page limit :limit
"""
SAVE_PAGE = """
insert into state_page (stream, name, page, content, digest)
values (:stream, :name, :page, :content, :digest)
on conflict (stream, name, page) do update
set content = excluded.content, digest = excluded.digest
"""
DROP_PAGES = "delete from state_page where stream = :stream and name = :name and page >= :page"

# An alert that is raised again after a crash keeps its number, and its row if nothing differs.
SAVE_ALERT = f"""
insert into alert ({_listed(ALERT_COLUMNS)}, arrived_ms)
values ({_listed(ALERT_COLUMNS, ":")}, {{now_ms}})
on conflict (alert_id, version, stream) do update
set {_renewed(ALERT_COLUMNS[3:])} where alert.content <> excluded.content
"""  # noqa: S608  names of columns, none from outside
SAVE_EPISODE = f"""
insert into episode ({_listed(EPISODE_COLUMNS)}, arrival, first_arrival, opened_ms, arrived_ms)
select {_listed(EPISODE_COLUMNS, ":")}, arrival, arrival, :time_ms, arrived_ms
from alert where alert_id = :alert_id and version = :version and stream = :stream
on conflict (alert_id) do update
set {_renewed((*EPISODE_COLUMNS[1:], "arrival"))}
where excluded.stream <> episode.stream or excluded.version >= episode.version
"""  # noqa: S608  names of columns, none from outside

ALERTS_AFTER = "select arrival, stream, content from alert where arrival > :after"
BY_ARRIVAL = " order by arrival limit :limit"
OF_STREAM = " and stream = :stream"
LAST_ARRIVAL = "select coalesce(max(arrival), 0) from alert"
COUNT_AFTER = """
select count(*) from (
    select 1 from alert where stream = :stream and arrival > :after limit :limit
) as waiting
"""

ACTIVATE = """
insert into activation (stream, position, digests, activated_ms)
values (:stream, :position, :digests, {now_ms})
on conflict (stream, position) do update set digests = excluded.digests
"""
ACTIVATIONS = """
select position, digests from activation where stream = :stream order by number
"""

SINK = "select arrival from sink_position where sink = :sink"
MOVE_SINK = """
insert into sink_position (sink, arrival, moved_ms) values (:sink, :arrival, {now_ms})
on conflict (sink) do update set arrival = excluded.arrival, moved_ms = excluded.moved_ms
where excluded.arrival > sink_position.arrival
"""
