-- Access events behind the alerts, as `detector serve --events` read them last; filled anew at each start.
create table if not exists access_event (
    number integer primary key,
    event_id text not null,
    user_id text not null,
    user_role text,
    time_ms integer not null,
    day date not null, -- local day
    quarter integer not null, -- quarter of an hour of the local day
    system text,
    action text not null,
    customer_id text,
    record_branch text,
    record_count integer not null,
    data_class text,
    ticket_id text,
    outcome text
);
create index if not exists access_event_by_user on access_event (user_id, day);
create index if not exists access_event_by_role on access_event (user_role, day);
