-- What each role may do; run again after every migration.
grant usage on schema public to detector_writer, detector_console, grafana_ro;
grant select on schema_version to detector_writer, detector_console;

-- The detector: its own tables, and the verdicts it learns from.
grant select, insert, update, delete on
    stream, alert, episode, checkpoint, state_page, activation, sink_position
to detector_writer;
grant select on verdict to detector_writer;

-- The console: reads what was found (no state of people's habits), writes what is done about it.
grant select on stream, alert, episode, activation, sink_position to detector_console;
grant select (stream, number, epoch, newest_event_ms, saved_ms) on checkpoint to detector_console;
grant select, insert, update, delete on
    triage, comment, mention, suppression, justification, account, account_branch, session,
    api_token, idempotency_key, saved_view, unmask_request, setting
to detector_console;
grant select, insert, delete on access_event to detector_console;
grant select, insert on verdict, audit_entry, anchor to detector_console;

-- Grafana: views only.
grant select on
    alerts_latest, alerts_per_day, detector_precision, triage_times, workload, freshness, held_back,
    employee_risk
to grafana_ro;
grant select on freshness to detector_console;
