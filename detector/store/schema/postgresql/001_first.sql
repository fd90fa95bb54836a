create table schema_version (
    number integer primary key,
    migrated timestamptz not null default now()
);

create table stream (
    stream text primary key,
    epoch bigint not null,
    owner text not null,
    claimed_ms bigint not null
);

create table alert (
    arrival bigint generated always as identity primary key, -- in the order of commits
    stream text not null,
    alert_id text collate "C" not null,
    version integer not null,
    time_ms bigint not null, -- event time, UTC
    day date not null, -- local day of the actor's branch
    score double precision not null,
    severity text not null,
    detector text not null,
    user_id text not null,
    content text not null, -- the line of the alerts file, byte for byte
    arrived_ms bigint not null, -- when it was written here
    unique (alert_id, version, stream)
);
create index alert_by_stream on alert (stream, arrival);
create index alert_by_user on alert (user_id, time_ms);

create table episode (
    alert_id text collate "C" primary key, -- compared as bytes, as SQLite does
    stream text not null,
    version integer not null,
    arrival bigint not null, -- of the latest version
    first_arrival bigint not null,
    opened_ms bigint not null,
    arrived_ms bigint not null, -- when the first version was written here
    time_ms bigint not null,
    day date not null,
    score double precision not null,
    severity text not null,
    detector text not null,
    detectors text not null, -- ",bulk_read,slow_drip,"
    user_id text not null,
    user_role text,
    user_branch text,
    learning boolean not null,
    n_events bigint not null,
    n_records bigint not null,
    n_customers bigint not null,
    words text not null -- what free search finds, lower case
);
create index episode_by_day on episode (day, score, alert_id);
create index episode_by_score on episode (score, alert_id);
create index episode_by_time on episode (time_ms, alert_id);
create index episode_by_day_and_kind on episode (day, detector, user_branch, score);
create index episode_by_arrival on episode (arrival);
create index episode_by_user on episode (user_id, time_ms, alert_id);
create index episode_by_branch on episode (user_branch, score, alert_id);
create index episode_by_detector on episode (detector, time_ms, alert_id);
create index episode_by_word on episode using gin (array_to_tsvector(string_to_array(words, ' ')));

create table checkpoint (
    stream text primary key,
    number bigint not null,
    facts text not null,
    digest bytea not null,
    epoch bigint not null,
    newest_event_ms bigint,
    saved_ms bigint not null
);

create table state_page (
    stream text not null,
    name text not null,
    page integer not null,
    content bytea not null,
    digest bytea not null,
    primary key (stream, name, page)
);
alter table state_page alter column content set storage external; -- packed already

create table activation (
    number bigint generated always as identity primary key,
    stream text not null,
    position text not null, -- JSON: the first position that was scored under these digests
    digests text not null, -- JSON: name -> digest
    activated_ms bigint not null,
    unique (stream, position)
);

create table sink_position (
    sink text primary key,
    arrival bigint not null,
    moved_ms bigint not null
);
