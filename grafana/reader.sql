-- The role with which Grafana reads the archive: it sees the views that carry a trader's words, and can change nothing.
--
--     psql "$DSN" -v password="$TRADECOPIER_READER_PASSWORD" -f grafana/reader.sql
--
-- Running it again sets the password anew and grants what new views need.
select format('create role tradecopier_reader login')
where not exists (select from pg_roles where rolname = 'tradecopier_reader') \gexec

alter role tradecopier_reader with login password :'password' connection limit 8;
alter role tradecopier_reader set default_transaction_read_only = on;
alter role tradecopier_reader set statement_timeout = '15s';
grant usage on schema public to tradecopier_reader;
grant select on ends, steps, latency, denials, unfinished, deals, drift, notices, trades to tradecopier_reader;
