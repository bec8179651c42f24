-- What was said on the two streams, for good: one table per kind of statement, append-only, a partition per month.
--
-- Each row keeps its entry as it came (m: the signed message, k: the key's id, s: the signature), the same message as
-- jsonb, and what is asked often in typed columns. A primary key is what the statement *is*, so that a statement that
-- comes again is the same row; it contains the partition's time, which is part of the signed message and so never
-- differs between two deliveries. Times are those of the message; `published` is the stream's and `archived` ours.

create table facts (
    namespace      text        not null,
    id             text        not null,  -- source, source account, object and its revision
    captured       timestamptz not null,  -- the reply had passed the proxy
    producer       text        not null,  -- one outbox …
    seq            bigint      not null,  -- … and the place in it, without gaps
    entry          text        not null,
    published      timestamptz not null,
    asked          timestamptz,
    kind           text        not null,
    source         text        not null,
    source_account text        not null,
    instrument     text        not null,
    model          text        not null,
    evidence       text        not null,
    price          numeric,
    order_id       text,
    order_type     text,
    side           text,
    quantity       numeric,
    position       text        not null,
    position_id    text,
    revision       bigint      not null,
    held_before    numeric     not null,  -- signed, in the source's unit, like the three below
    coming_before  numeric     not null,
    held_after     numeric     not null,
    coming_after   numeric     not null,
    flattens       boolean     generated always as (held_after + coming_after = 0) stored,
    reverses       boolean     generated always as
        (sign(held_before + coming_before) * sign(held_after + coming_after) = -1) stored,
    stop_loss      numeric,
    take_profit    numeric,
    m              bytea       not null,
    k              text        not null,
    s              text        not null,
    body           jsonb       not null,
    archived       timestamptz not null default clock_timestamp(),
    primary key (namespace, id, captured, producer, seq)
) partition by range (captured);

create index facts_captured on facts (captured);
create index facts_sequence on facts (namespace, producer, seq);
create index facts_chain on facts (namespace, source, source_account, position, revision);

create table outcomes (
    namespace     text        not null,
    account       text        not null,
    fact          text        not null,
    attempt       integer     not null,
    result        text        not null,  -- an end, or a state on the way there (unresolved, owed)
    final         boolean     not null,
    at            timestamptz not null,  -- the fact's capture; of a state: since when
    committed     timestamptz not null,
    entry         text        not null,
    published     timestamptz not null,
    read          timestamptz,
    sent          timestamptz,           -- right before the first call to MetaTrader 5
    answered      timestamptz,           -- right after the last one
    instrument    text        not null,
    symbol        text,
    lots_opened   numeric     not null,
    lots_reduced  numeric     not null,
    price_opened  numeric,
    price_reduced numeric,
    -- orders, deals and marks in MetaTrader 5, of the steps that opened and of those that reduced
    tickets_opened bigint[]   not null,
    deals_opened  bigint[]    not null,
    deals_reduced bigint[]    not null,
    deals         bigint[]    generated always as (deals_opened || deals_reduced) stored,
    marks_opened  bigint[]    not null,
    marks_reduced bigint[]    not null,
    reason        text        not null,
    text          text        not null,
    m             bytea       not null,
    k             text        not null,
    s             text        not null,
    body          jsonb       not null,
    archived      timestamptz not null default clock_timestamp(),
    primary key (namespace, account, fact, attempt, result, committed, at)
) partition by range (at);

create index outcomes_at on outcomes (at);
create index outcomes_fact on outcomes (namespace, fact);
create index outcomes_opened on outcomes (at) where lots_opened > 0;
create index outcomes_unended on outcomes (namespace, account, at) where not final;

create table observations (
    namespace       text        not null,
    account         text        not null,
    kind            text        not null,  -- deal, drift, notice
    identity        text        not null,  -- the deal's number, or a hash of the message
    at              timestamptz not null,
    seen            timestamptz not null,
    entry           text        not null,
    published       timestamptz not null,
    symbol          text,
    reason          text        not null,
    text            text        not null,
    deal            bigint,
    order_ticket    bigint,
    position_ticket bigint,
    mark            bigint,
    side            text,
    direction       text,                  -- in, out, inout, out_by
    volume          numeric,
    price           numeric,
    profit          numeric,
    swap            numeric,
    commission      numeric,
    position        text,                  -- the source's, of a drift
    expected        numeric,               -- signed lots
    actual          numeric,
    m               bytea       not null,
    k               text        not null,
    s               text        not null,
    body            jsonb       not null,
    archived        timestamptz not null default clock_timestamp(),
    primary key (namespace, account, kind, identity, at)
) partition by range (at);

create index observations_at on observations (at);
create index observations_position on observations (namespace, account, position_ticket) where kind = 'deal';
create index observations_mark on observations (namespace, account, mark) where kind = 'deal';
create index observations_deal on observations (namespace, account, deal) where kind = 'deal';

-- The tables only ever grow. Whoever wants to mend the past has to say so by switching the trigger off.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: a row is never changed or removed', tg_table_name using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or delete on facts for each row execute function refuse_change();
create trigger append_only before update or delete on outcomes for each row execute function refuse_change();
create trigger append_only before update or delete on observations for each row execute function refuse_change();
create trigger no_truncate before truncate on facts for each statement execute function refuse_change();
create trigger no_truncate before truncate on outcomes for each statement execute function refuse_change();
create trigger no_truncate before truncate on observations for each statement execute function refuse_change();

-- Makes the month's partitions where they are missing. A table is made first and attached then, because that does not
-- wait for those who read the parent. The archiver's role may insert and nothing else, hence `security definer`.
create function make_month(first date) returns void
language plpgsql security definer set search_path from current set timezone = 'UTC' as $$
declare
    parent text;
    part   text;
begin
    perform pg_advisory_xact_lock(hashtext('tradecopier: make_month'));
    foreach parent in array array['facts', 'outcomes', 'observations'] loop
        part := parent || to_char(first, '_YYYY_MM');
        continue when exists (
            select from pg_inherits where inhparent = parent::regclass and inhrelid = to_regclass(quote_ident(part))
        );
        execute format('create table %I (like %I including defaults including constraints including generated)', part, parent);
        execute format(
            'alter table %I attach partition %I for values from (%L) to (%L)',
            parent, part, date_trunc('month', first), date_trunc('month', first) + interval '1 month'
        );
    end loop;
end
$$;

-- What two roles may do, where an administrator has made them: tradecopier_archiver writes, tradecopier_reader reads the
-- views. Called after every migration, so a role that is made later gets its rights by `tradecopier archiver migrate`.
create function grant_roles() returns void language plpgsql set search_path from current as $$
declare
    object text;
begin
    if exists (select from pg_roles where rolname = 'tradecopier_archiver') then
        grant select, insert on facts, outcomes, observations to tradecopier_archiver;
        grant select on migrations to tradecopier_archiver;
        grant execute on function make_month(date) to tradecopier_archiver;
    end if;
    if exists (select from pg_roles where rolname = 'tradecopier_reader') then
        for object in select viewname from pg_views where schemaname = current_schema() loop
            execute format('grant select on %I to tradecopier_reader', object);
        end loop;
    end if;
end
$$;

revoke execute on function make_month(date) from public;
