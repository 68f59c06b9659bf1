#!/bin/bash
# What the official image of PostgreSQL does at its first start, in short.
set -euo pipefail
as_postgres() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }
chown -R postgres "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  install -o postgres -m 600 /dev/stdin /tmp/password <<< "$POSTGRES_PASSWORD"
  as_postgres initdb --username postgres --auth scram-sha-256 --pwfile /tmp/password -D "$PGDATA"
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec setpriv --reuid postgres --regid postgres --init-groups postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp
