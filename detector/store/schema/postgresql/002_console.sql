-- What people do about alerts; written by the console alone.
create table triage (
    alert_id text collate "C" primary key,
    status text not null default 'new'
        check (status in ('new', 'acknowledged', 'in_progress', 'escalated', 'closed')),
    assignee text,
    verdict text check (verdict in ('confirmed', 'benign', 'wrong_team', 'test')),
    row_version integer not null default 1, -- grows with every change: two people do not overwrite
    first_look_ms bigint,
    decided_ms bigint,
    closed_ms bigint,
    changed_ms bigint not null,
    changed_by text not null
);
create index triage_by_status on triage (status, alert_id);
create index triage_by_assignee on triage (assignee, status);
create index triage_by_verdict on triage (verdict);

-- Every verdict ever given; the newest of an alert counts. Followed by number, it teaches the engine.
create table verdict (
    number bigint generated always as identity primary key,
    alert_id text collate "C" not null,
    alert_version integer not null,
    verdict text not null check (verdict in ('confirmed', 'benign', 'wrong_team', 'test')),
    reason text not null default '',
    author text not null,
    given_ms bigint not null
);
create index verdict_by_alert on verdict (alert_id, number);

create table comment (
    number bigint generated always as identity primary key,
    alert_id text collate "C" not null,
    author text not null,
    body text not null,
    written_ms bigint not null
);
create index comment_by_alert on comment (alert_id, number);

create table mention (
    comment bigint not null references comment (number),
    account text not null,
    seen_ms bigint,
    primary key (comment, account)
);
create index mention_by_account on mention (account, seen_ms);

-- Hides what matches every column that is not null, from created_ms until expires_ms.
create table suppression (
    number bigint generated always as identity primary key,
    user_id text,
    user_role text,
    user_branch text,
    detector text,
    max_score double precision, -- what is above it shows all the same
    author text not null,
    reason text not null check (reason <> ''),
    created_ms bigint not null,
    expires_ms bigint not null check (expires_ms > created_ms),
    withdrawn_ms bigint,
    withdrawn_by text,
    check (coalesce(user_id, user_role, user_branch, detector) is not null)
);
create index suppression_by_end on suppression (expires_ms);

-- "Ask the employee why": the token of the small page is kept as a digest only.
create table justification (
    number bigint generated always as identity primary key,
    alert_id text collate "C" not null,
    token_digest bytea not null unique,
    asked_by text not null,
    question text not null,
    asked_ms bigint not null,
    expires_ms bigint not null,
    answer text,
    answered_ms bigint
);
create index justification_by_alert on justification (alert_id, number);

create table account (
    name text primary key,
    display_name text not null,
    role text not null
        check (role in ('viewer', 'analyst', 'investigator', 'manager', 'auditor', 'admin')),
    password_hash text, -- none for those who sign in elsewhere
    language text not null default 'en',
    sees_all_branches boolean not null default false,
    is_disabled boolean not null default false,
    n_failures integer not null default 0,
    locked_until_ms bigint,
    row_version integer not null default 1,
    created_ms bigint not null
);

-- Branches an account may see that does not see all.
create table account_branch (
    account text not null references account (name),
    branch text not null,
    primary key (account, branch)
);

create table session (
    token_digest bytea primary key,
    account text not null,
    created_ms bigint not null,
    seen_ms bigint not null,
    expires_ms bigint not null
);
create index session_by_account on session (account);

create table api_token (
    number bigint generated always as identity primary key,
    account text not null,
    name text not null,
    token_digest bytea not null unique,
    scopes text not null, -- JSON list
    created_ms bigint not null,
    expires_ms bigint not null,
    used_ms bigint,
    revoked_ms bigint
);
create index api_token_by_account on api_token (account);

create table idempotency_key (
    account text not null,
    key text not null,
    request_digest bytea not null,
    status integer,
    response text,
    created_ms bigint not null,
    primary key (account, key)
);
create index idempotency_key_by_age on idempotency_key (created_ms);

create table saved_view (
    number bigint generated always as identity primary key,
    owner text not null,
    name text not null,
    query text not null, -- JSON
    is_shared boolean not null default false,
    unique (owner, name)
);

create table unmask_request (
    number bigint generated always as identity primary key,
    kind text not null check (kind in ('user', 'customer')),
    pseudonym text not null,
    alert_id text collate "C",
    asked_by text not null,
    reason text not null check (reason <> ''),
    asked_ms bigint not null,
    decided_by text check (decided_by <> asked_by), -- a second person
    is_granted boolean,
    decided_ms bigint,
    expires_ms bigint not null
);
create index unmask_request_open on unmask_request (decided_ms, asked_ms);

-- Each entry's digest covers the one before. No role may change or remove one.
create table audit_entry (
    number bigint primary key,
    at_ms bigint not null,
    actor text not null,
    act text not null,
    object text not null,
    detail text not null, -- JSON
    previous bytea not null,
    digest bytea not null
);
create index audit_entry_by_object on audit_entry (object, number);
create index audit_entry_by_actor on audit_entry (actor, number);

create table anchor (
    number bigint generated always as identity primary key,
    entry bigint not null,
    digest bytea not null,
    key_id text not null,
    signature bytea not null,
    place text not null, -- where a copy was put: file or topic
    signed_ms bigint not null
);

create table setting (
    name text primary key,
    value text not null, -- JSON
    changed_by text not null,
    changed_ms bigint not null
);

create function audit_stays() returns trigger language plpgsql as $$
begin
    raise exception 'an audit entry is never changed or removed';
end
$$;
create trigger audit_entry_stays before update or delete or truncate on audit_entry
    execute function audit_stays();
