-- Streams with claims; the old file's only run becomes the stream `replay`.
create table stream (
    stream text primary key,
    epoch integer not null,
    owner text not null,
    claimed_ms integer not null
) without rowid;

drop view latest_alert;
alter table alert rename to old_alert;
create table alert (
    arrival integer primary key autoincrement, -- never used twice, even when rows are archived
    stream text not null,
    alert_id text not null,
    version integer not null,
    time_ms integer not null, -- event time, UTC
    day text not null, -- local day of the actor's branch
    score real not null,
    severity text not null,
    detector text not null,
    user_id text not null,
    content text not null, -- the line of the alerts file
    arrived_ms integer not null, -- when it was written here
    unique (alert_id, version, stream)
);
insert into alert
    select
        sequence, 'replay', alert_id, version,
        strftime('%s', time) * 1000 + cast(substr(time, 21, 3) as integer), substr(time, 1, 10),
        score, severity, detector, user_id, content,
        strftime('%s', time) * 1000 + cast(substr(time, 21, 3) as integer)
    from old_alert order by sequence;
drop table old_alert;
create index alert_by_stream on alert (stream, arrival);
create index alert_by_user on alert (user_id, time_ms);

create table episode (
    number integer primary key,
    alert_id text not null unique,
    stream text not null,
    version integer not null,
    arrival integer not null, -- of the latest version
    first_arrival integer not null,
    opened_ms integer not null,
    arrived_ms integer not null, -- when the first version was written here
    time_ms integer not null,
    day text not null,
    score real not null,
    severity text not null,
    detector text not null,
    detectors text not null, -- ",bulk_read,slow_drip,"
    user_id text not null,
    user_role text,
    user_branch text,
    learning integer not null,
    n_events integer not null,
    n_records integer not null,
    n_customers integer not null,
    words text not null -- what free search finds, lower case
);
insert into episode (
    alert_id, stream, version, arrival, first_arrival, opened_ms, arrived_ms, time_ms, day, score,
    severity, detector, detectors, user_id, user_role, user_branch, learning, n_events, n_records,
    n_customers, words
)
    select
        a.alert_id, a.stream, a.version, a.arrival, f.arrival, f.time_ms, f.arrived_ms, a.time_ms, a.day,
        a.score, a.severity, a.detector,
        (select ',' || group_concat(value, ',') || ',' from json_each(a.content, '$.detectors')),
        a.user_id, json_extract(a.content, '$.user_role'), json_extract(a.content, '$.user_branch'),
        json_extract(a.content, '$.learning'), json_extract(a.content, '$.n_events'),
        json_extract(a.content, '$.n_records'), json_extract(a.content, '$.n_customers'),
        lower(
            a.alert_id || ' ' || a.user_id || ' '
            || coalesce(json_extract(a.content, '$.user_role'), '') || ' '
            || coalesce(json_extract(a.content, '$.user_branch'), '') || ' '
            || (select group_concat(value, ' ') from json_each(a.content, '$.detectors')) || ' '
            || (select group_concat(value, ' ') from json_each(a.content, '$.event_ids'))
        )
    from alert as a
    join (select alert_id, max(version) as last, min(version) as first from alert group by 1) as v
        on v.alert_id = a.alert_id and v.last = a.version
    join alert as f on f.alert_id = a.alert_id and f.version = v.first;
create index episode_by_day on episode (day, score, alert_id);
create index episode_by_score on episode (score, alert_id);
create index episode_by_time on episode (time_ms, alert_id);
create index episode_by_day_and_kind on episode (day, detector, user_branch, score);
create index episode_by_arrival on episode (arrival);
create index episode_by_user on episode (user_id, time_ms, alert_id);
create index episode_by_branch on episode (user_branch, score, alert_id);
create index episode_by_detector on episode (detector, time_ms, alert_id);
create virtual table episode_word using fts5 (
    words, content = 'episode', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 0'
);
insert into episode_word (rowid, words) select number, words from episode;
create trigger episode_is_new after insert on episode begin
    insert into episode_word (rowid, words) values (new.number, new.words);
end;
create trigger episode_is_gone after delete on episode begin
    insert into episode_word (episode_word, rowid, words) values ('delete', old.number, old.words);
end;
create trigger episode_has_changed after update on episode begin
    insert into episode_word (episode_word, rowid, words) values ('delete', old.number, old.words);
    insert into episode_word (rowid, words) values (new.number, new.words);
end;

alter table checkpoint rename to old_checkpoint;
create table checkpoint (
    stream text primary key,
    number integer not null,
    facts text not null,
    digest blob not null,
    epoch integer not null,
    newest_event_ms integer,
    saved_ms integer not null
) without rowid;
insert into checkpoint select 'replay', number, facts, digest, 0, null, 0 from old_checkpoint;
drop table old_checkpoint;

alter table state_page rename to old_state_page;
create table state_page (
    stream text not null,
    name text not null,
    page integer not null,
    content blob not null,
    digest blob not null,
    primary key (stream, name, page)
) without rowid;
insert into state_page select 'replay', name, page, content, digest from old_state_page;
drop table old_state_page;

create table activation (
    number integer primary key autoincrement,
    stream text not null,
    position text not null, -- JSON: the first position that was scored under these digests
    digests text not null, -- JSON: name -> digest
    activated_ms integer not null,
    unique (stream, position)
);

create table sink_position (
    sink text primary key,
    arrival integer not null,
    moved_ms integer not null
) without rowid;
