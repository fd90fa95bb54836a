create table alert (
    sequence integer primary key,
    alert_id text not null,
    version integer not null,
    time text not null,
    score real not null,
    severity text not null,
    detector text not null,
    user_id text not null,
    content text not null,
    unique (alert_id, version)
);
create index alert_by_time on alert (time);
create index alert_by_user on alert (user_id);
create view latest_alert as
    select * from alert as a
    where version = (select max(version) from alert as b where b.alert_id = a.alert_id);
create table checkpoint (
    one integer primary key check (one = 1),
    number integer not null,
    facts text not null,
    digest blob not null
);
create table state_page (
    name text not null,
    page integer not null,
    content blob not null,
    digest blob not null,
    primary key (name, page)
) without rowid;
