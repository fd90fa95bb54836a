-- Run once, by the image, on an empty database: the three roles with their passwords, which are read from
-- files. What each may do is granted by `detector store init --roles`.
\set ON_ERROR_STOP on
\set writer `cat /run/secrets/detector-writer-password`
\set console `cat /run/secrets/detector-console-password`
\set grafana `cat /run/secrets/grafana-ro-password`
create role detector_writer login password :'writer';
create role detector_console login password :'console';
create role grafana_ro login password :'grafana';
