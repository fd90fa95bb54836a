#!/bin/sh
# Makes each secret of compose.yaml that is missing; what is there stays. Nothing is printed.
set -eu
folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
chmod 700 "$folder" # the files are read by several users, each in a container of its own
for name in postgresql-password detector-writer-password detector-console-password grafana-ro-password \
  grafana-admin-password smtp-password detector_console_session_key detector_console_pseudonym_key; do
  if [ ! -s "$folder/$name" ]; then
    umask 022
    head -c 36 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$folder/.new"
    mv "$folder/.new" "$folder/$name"
  fi
done
