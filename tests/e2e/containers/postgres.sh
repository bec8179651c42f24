#!/bin/sh
# What the official image of PostgreSQL does at its first start, as far as compose.yaml asks for it.
set -eu
export PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # The arguments are several words.
    initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses= -c unix_socket_directories=/tmp" start
    PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" createdb --host /tmp --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait --mode fast stop
fi
exec "$@" -c "listen_addresses=*" -c unix_socket_directories=/tmp
