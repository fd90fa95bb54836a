-- What people do about alerts; written by the console alone.
create table triage (
    alert_id text primary key,
    status text not null default 'new'
        check (status in ('new', 'acknowledged', 'in_progress', 'escalated', 'closed')),
    assignee text,
    verdict text check (verdict in ('confirmed', 'benign', 'wrong_team', 'test')),
    row_version integer not null default 1, -- grows with every change: two people do not overwrite
    first_look_ms integer,
    decided_ms integer,
    closed_ms integer,
    changed_ms integer not null,
    changed_by text not null
);
create index triage_by_status on triage (status, alert_id);
create index triage_by_assignee on triage (assignee, status);
create index triage_by_verdict on triage (verdict);

-- Every verdict ever given; the newest of an alert counts. Followed by number, it teaches the engine.
create table verdict (
    number integer primary key autoincrement,
    alert_id text not null,
    alert_version integer not null,
    verdict text not null check (verdict in ('confirmed', 'benign', 'wrong_team', 'test')),
    reason text not null default '',
    author text not null,
    given_ms integer not null
);
create index verdict_by_alert on verdict (alert_id, number);

create table comment (
    number integer primary key autoincrement,
    alert_id text not null,
    author text not null,
    body text not null,
    written_ms integer not null
);
create index comment_by_alert on comment (alert_id, number);

create table mention (
    comment integer not null references comment (number),
    account text not null,
    seen_ms integer,
    primary key (comment, account)
);
create index mention_by_account on mention (account, seen_ms);

-- Hides what matches every column that is not null, from created_ms until expires_ms.
create table suppression (
    number integer primary key autoincrement,
    user_id text,
    user_role text,
    user_branch text,
    detector text,
    max_score real, -- what is above it shows all the same
    author text not null,
    reason text not null check (reason <> ''),
    created_ms integer not null,
    expires_ms integer not null check (expires_ms > created_ms),
    withdrawn_ms integer,
    withdrawn_by text,
    check (coalesce(user_id, user_role, user_branch, detector) is not null)
);
create index suppression_by_end on suppression (expires_ms);

-- "Ask the employee why": the token of the small page is kept as a digest only.
create table justification (
    number integer primary key autoincrement,
    alert_id text not null,
    token_digest blob not null unique,
    asked_by text not null,
    question text not null,
    asked_ms integer not null,
    expires_ms integer not null,
    answer text,
    answered_ms integer
);
create index justification_by_alert on justification (alert_id, number);

create table account (
    name text primary key,
    display_name text not null,
    role text not null
        check (role in ('viewer', 'analyst', 'investigator', 'manager', 'auditor', 'admin')),
    password_hash text, -- none for those who sign in elsewhere
    language text not null default 'en',
    sees_all_branches integer not null default 0,
    is_disabled integer not null default 0,
    n_failures integer not null default 0,
    locked_until_ms integer,
    row_version integer not null default 1,
    created_ms integer not null
);

-- Branches an account may see that does not see all.
create table account_branch (
    account text not null references account (name),
    branch text not null,
    primary key (account, branch)
);

create table session (
    token_digest blob primary key,
    account text not null,
    created_ms integer not null,
    seen_ms integer not null,
    expires_ms integer not null
);
create index session_by_account on session (account);

create table api_token (
    number integer primary key autoincrement,
    account text not null,
    name text not null,
    token_digest blob not null unique,
    scopes text not null, -- JSON list
    created_ms integer not null,
    expires_ms integer not null,
    used_ms integer,
    revoked_ms integer
);
create index api_token_by_account on api_token (account);

create table idempotency_key (
    account text not null,
    key text not null,
    request_digest blob not null,
    status integer,
    response text,
    created_ms integer not null,
    primary key (account, key)
);
create index idempotency_key_by_age on idempotency_key (created_ms);

create table saved_view (
    number integer primary key autoincrement,
    owner text not null,
    name text not null,
    query text not null, -- JSON
    is_shared integer not null default 0,
    unique (owner, name)
);

create table unmask_request (
    number integer primary key autoincrement,
    kind text not null check (kind in ('user', 'customer')),
    pseudonym text not null,
    alert_id text,
    asked_by text not null,
    reason text not null check (reason <> ''),
    asked_ms integer not null,
    decided_by text check (decided_by <> asked_by), -- a second person
    is_granted integer,
    decided_ms integer,
    expires_ms integer not null
);
create index unmask_request_open on unmask_request (decided_ms, asked_ms);

-- Each entry's digest covers the one before. No role may change or remove one.
create table audit_entry (
    number integer primary key,
    at_ms integer not null,
    actor text not null,
    act text not null,
    object text not null,
    detail text not null, -- JSON
    previous blob not null,
    digest blob not null
);
create index audit_entry_by_object on audit_entry (object, number);
create index audit_entry_by_actor on audit_entry (actor, number);

create table anchor (
    number integer primary key autoincrement,
    entry integer not null,
    digest blob not null,
    key_id text not null,
    signature blob not null,
    place text not null, -- where a copy was put: file or topic
    signed_ms integer not null
);

create table setting (
    name text primary key,
    value text not null, -- JSON
    changed_by text not null,
    changed_ms integer not null
);

create trigger audit_entry_stays before update on audit_entry begin
    select raise(abort, 'an audit entry is never changed or removed');
end;
create trigger audit_entry_remains before delete on audit_entry begin
    select raise(abort, 'an audit entry is never changed or removed');
end;
