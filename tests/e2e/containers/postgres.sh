#!/bin/sh
# What the official image of PostgreSQL does at its first start, as far as compose.yaml asks for it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # initdb asks for the name of whom it runs as; nobody in here has the number that the container is told.
    echo "postgres:x:$(id -u):$(id -g)::/:/bin/sh" > /tmp/users
    echo "postgres:x:$(id -g):" > /tmp/groups
    export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=/tmp/users NSS_WRAPPER_GROUP=/tmp/groups
    # The arguments are several words.
    initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses=" start
    PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait --mode fast stop
fi
exec "$@" -c "listen_addresses=*"
