-- Three roles with a login and no password: give each one, or let certificates decide.
do $$
begin
    if to_regrole('detector_writer') is null then create role detector_writer login; end if;
    if to_regrole('detector_console') is null then create role detector_console login; end if;
    if to_regrole('grafana_ro') is null then create role grafana_ro login; end if;
end
$$;
