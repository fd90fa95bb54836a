-- What Grafana reads: names and columns stay; staff are named by id only.
create view alerts_latest as
select
    e.alert_id, to_timestamp(e.time_ms / 1000.0) as time, to_timestamp(e.opened_ms / 1000.0) as opened,
    e.day, e.score, e.severity, e.detector, string_to_array(trim(both ',' from e.detectors), ',') as detectors,
    e.user_id, e.user_role, e.user_branch, e.learning, e.n_events, e.n_records, e.n_customers,
    e.version, e.stream, a.content::jsonb -> 'evidence' as evidence,
    a.content::jsonb -> 'explanation' ->> 'en' as explanation_en,
    a.content::jsonb -> 'explanation' ->> 'zh' as explanation_zh,
    coalesce(t.status, 'new') as status, t.assignee, t.verdict
from episode as e
join alert as a on a.arrival = e.arrival
left join triage as t on t.alert_id = e.alert_id;

create view alerts_per_day as
select day, detector, severity, user_branch, user_role, count(*) as n_alerts, max(score) as max_score
from episode
group by day, detector, severity, user_branch, user_role;

-- Of the alerts a person has judged; wrong team and test say nothing about the detector.
create view detector_precision as
select
    e.detector, date_trunc('week', e.day)::date as week,
    count(*) filter (where t.verdict = 'confirmed') as n_confirmed,
    count(*) filter (where t.verdict = 'benign') as n_benign,
    count(*) filter (where t.verdict = 'confirmed')::double precision
        / nullif(count(*) filter (where t.verdict in ('confirmed', 'benign')), 0) as "precision"
from triage as t
join episode as e on e.alert_id = t.alert_id
where t.verdict is not null
group by e.detector, week;

create view triage_times as
select
    e.alert_id, e.day, e.detector, e.severity, e.user_branch, t.assignee,
    to_timestamp(e.arrived_ms / 1000.0) as arrived,
    (t.first_look_ms - e.arrived_ms) / 1000.0 as first_look_seconds,
    (t.decided_ms - e.arrived_ms) / 1000.0 as decision_seconds
from triage as t
join episode as e on e.alert_id = t.alert_id;

create view workload as
select
    coalesce(t.assignee, '(nobody)') as assignee, t.status, count(*) as n_alerts,
    to_timestamp(min(e.arrived_ms) / 1000.0) as oldest
from triage as t
join episode as e on e.alert_id = t.alert_id
group by 1, 2;

create view freshness as
select
    s.stream, s.owner, s.epoch, to_timestamp(s.claimed_ms / 1000.0) as claimed,
    c.number as checkpoint, to_timestamp(c.saved_ms / 1000.0) as saved,
    to_timestamp(c.newest_event_ms / 1000.0) as newest_event,
    extract(epoch from now()) - c.saved_ms / 1000.0 as saved_seconds_ago,
    extract(epoch from now()) - c.newest_event_ms / 1000.0 as event_seconds_ago
from stream as s
left join checkpoint as c on c.stream = s.stream;

-- Each day's alerts beyond the console's setting `daily_budget` (20 where it is not set).
create view held_back as
with budget as (
    select coalesce((select value::integer from setting where name = 'daily_budget'), 20) as n
), ranked as (
    select day, score, row_number() over (partition by day order by score desc, alert_id) as rank
    from episode
)
select
    day, count(*) as n_alerts, count(*) filter (where rank <= n) as n_shown,
    count(*) filter (where rank > n) as n_held_back,
    max(score) filter (where rank > n) as best_held_back
from ranked, budget
group by day;

-- Sum of the scores of the last 91 days, halved every two weeks in steps of one; what was judged
-- benign or a test does not count.
create view employee_risk as
with newest as (select max(day) as day from episode)
select
    e.user_id, max(e.user_role) as user_role, max(e.user_branch) as user_branch,
    sum(e.score * power(0.5, (newest.day - e.day) / 7 / 2.0)) as risk, count(*) as n_alerts,
    max(e.day) as last_day
from newest
join episode as e on e.day > newest.day - 91
left join triage as t on t.alert_id = e.alert_id
where t.verdict is distinct from 'benign' and t.verdict is distinct from 'test'
group by e.user_id;
