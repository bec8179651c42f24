-- What people and dashboards read. Views carry the names a trader uses; the tables behind may change, these stay.
-- A filter on `captured` (or `at`) reaches the partitions, so ask for a period whenever you can.

-- One end per account, fact and attempt. A failover may have lost an end that was archived already; then the later one
-- counts and the earlier one is history.
create view ends as
select o.*
from outcomes o
where o.final
  and not exists (
    select from outcomes later
    where later.final
      and (later.namespace, later.account, later.fact, later.attempt) = (o.namespace, o.account, o.fact, o.attempt)
      and (later.committed, later.result) > (o.committed, o.result)
  );

-- Every step of every end, as it was asked of MetaTrader 5.
create view steps as
select
    o.namespace, o.account, o.fact, o.attempt, o.result as outcome, o.at as captured, step.number,
    step.name, step.kind, step.action, step.symbol, step.result, step.side, step.volume, step.price,
    step.stop_loss, step.take_profit, step.ticket, step.deal, step.mark, step.retcode,
    coalesce(step.reason, '') as reason, coalesce(step.text, '') as text, step.sent, step.answered
from ends o
cross join lateral rows from (
    jsonb_to_recordset(o.body -> 'steps') as (
        name text, kind text, action text, symbol text, result text, side text, volume numeric, price numeric,
        stop_loss numeric, take_profit numeric, ticket bigint, deal bigint, mark bigint, retcode integer,
        reason text, text text, sent timestamptz, answered timestamptz
    )
) with ordinality as step (
    name, kind, action, symbol, result, side, volume, price, stop_loss, take_profit, ticket, deal, mark, retcode,
    reason, text, sent, answered, number
);

-- Where the time went, in milliseconds: one row per end that called MetaTrader 5. `stream_ms` compares our clock with
-- the Redis server's and is true to a millisecond at best; `sent_ms` is capture to the first call, what a trader feels.
create view latency as
select
    o.namespace, o.account, o.fact, o.attempt, o.result, o.instrument, o.symbol, o.at as captured,
    f.published, o.read, o.sent, o.answered, o.committed,
    round(extract(epoch from f.published - o.at) * 1000, 3) as stream_ms,
    round(extract(epoch from o.read - o.at) * 1000, 3) as read_ms,
    round(extract(epoch from o.sent - o.at) * 1000, 3) as sent_ms,
    round(extract(epoch from o.answered - o.sent) * 1000, 3) as broker_ms,
    round(extract(epoch from o.answered - o.at) * 1000, 3) as answered_ms,
    round(extract(epoch from o.committed - o.at) * 1000, 3) as committed_ms
from ends o
left join lateral (
    select min(published) as published from facts
    where namespace = o.namespace and id = o.fact and captured = o.at
) f on true
where o.sent is not null;

-- What was not followed, and why: refused by us (denied), by the broker (rejected), or given up (dead).
create view denials as
select
    namespace, account, fact, attempt, result, reason, text, instrument, symbol, at as captured, committed
from ends
where result in ('denied', 'rejected', 'dead');

-- What has no end yet: unknown to us (unresolved) or an exit still to be done (owed).
create view unfinished as
select distinct on (p.namespace, p.account, p.fact, p.attempt)
    p.namespace, p.account, p.fact, p.attempt, p.result as state, p.reason, p.text, p.instrument, p.symbol, p.at as since
from outcomes p
where not p.final
  and not exists (
    select from outcomes o
    where o.final and (o.namespace, o.account, o.fact, o.attempt) = (p.namespace, p.account, p.fact, p.attempt)
  )
order by p.namespace, p.account, p.fact, p.attempt, p.committed desc, p.result;

create view deals as
select
    namespace, account, deal, order_ticket as "order", position_ticket as position, mark, symbol, side, direction, volume,
    price, profit, swap, commission, reason, at as "time", seen
from observations
where kind = 'deal';

create view drift as
select namespace, account, position, symbol, expected, actual, text, seen
from observations
where kind = 'drift';

create view notices as
select namespace, account, reason, text, seen
from observations
where kind = 'notice';

-- One row per trade per account: from the first fact that opened the source's position on this account until the source
-- is flat or turns round. A netting source has one position per instrument for ever; its trades follow one another.
-- Money comes from the deals that the executor reports; a deal belongs to a trade by its number or mark, one without a mark
-- (closed by hand) by the position it closed. Slippage is in price units, above 0 when it cost something.
create view trades as
select
    o.namespace, o.account, f.source, f.source_account, f.position, f.instrument, t.symbol,
    case when f.held_after + f.coming_after > 0 then 'buy' else 'sell' end as side,
    o.at as captured,
    t.opened, t.closed,
    case
        when stop.revision is not null and t.lots_closed >= t.lots then 'closed'
        when stop.revision is not null then 'closing'
        else 'open'
    end as state,
    t.lots, t.lots_closed,
    f.price as source_price, t.price_opened, t.price_closed,
    case when f.held_after + f.coming_after > 0 then o.price_opened - f.price else f.price - o.price_opened end as slippage,
    money.profit, money.swap, money.commission, money.profit + money.swap + money.commission as net,
    round(extract(epoch from o.read - o.at) * 1000, 3) as read_ms,
    round(extract(epoch from o.sent - o.at) * 1000, 3) as sent_ms,
    round(extract(epoch from o.answered - o.at) * 1000, 3) as answered_ms,
    t.facts, o.fact as first_fact, t.last_fact, t.tickets
from ends o
join lateral (
    select * from facts
    where namespace = o.namespace and id = o.fact and captured = o.at
    order by producer, seq
    limit 1
) f on true
cross join lateral (
    -- the first revision that belongs to this trade
    select case
        when f.reverses then f.revision
        else coalesce(max(case when p.flattens then p.revision + 1 else p.revision end), 0)
    end as revision
    from facts p
    where (p.namespace, p.source, p.source_account, p.position) = (f.namespace, f.source, f.source_account, f.position)
      and p.revision < f.revision and (p.flattens or p.reverses)
) start
cross join lateral (
    -- the revision that ends it
    select min(n.revision) as revision
    from facts n
    where (n.namespace, n.source, n.source_account, n.position) = (f.namespace, f.source, f.source_account, f.position)
      and ((n.revision >= f.revision and n.flattens) or (n.revision > f.revision and n.reverses))
) stop
cross join lateral (
    with e as (
        select
            x.*, m.revision,
            m.revision = f.revision or stop.revision is null or m.revision < stop.revision as opening,
            m.revision > f.revision or not f.reverses as reducing
        from (
            select distinct on (id, captured) * from facts m
            where (m.namespace, m.source, m.source_account, m.position)
                = (f.namespace, f.source, f.source_account, f.position)
              and m.revision >= start.revision and m.revision <= coalesce(stop.revision, m.revision)
            order by id, captured, producer, seq
        ) m
        join ends x on (x.namespace, x.account, x.fact, x.at) = (o.namespace, o.account, m.id, m.captured)
    )
    select
        coalesce(sum(e.lots_opened) filter (where opening), 0) as lots,
        coalesce(sum(e.lots_reduced) filter (where reducing), 0) as lots_closed,
        sum(e.lots_opened * e.price_opened) filter (where opening)
            / nullif(sum(e.lots_opened) filter (where opening and e.price_opened is not null), 0) as price_opened,
        sum(e.lots_reduced * e.price_reduced) filter (where reducing)
            / nullif(sum(e.lots_reduced) filter (where reducing and e.price_reduced is not null), 0) as price_closed,
        min(coalesce(e.answered, e.committed)) filter (where opening and e.lots_opened > 0) as opened,
        case when stop.revision is not null
            then max(coalesce(e.answered, e.committed)) filter (where reducing and e.lots_reduced > 0) end as closed,
        (array_agg(e.symbol order by e.committed) filter (where e.symbol is not null))[1] as symbol,
        count(distinct e.fact) as facts,
        (array_agg(e.fact order by e.revision desc, e.committed desc))[1] as last_fact,
        (select array_agg(distinct u) from e, unnest(e.tickets_opened) u where opening and lots_opened > 0) as tickets,
        (select array_agg(u) from e, unnest(e.deals_opened) u where opening) as deals_opened,
        (select array_agg(u) from e, unnest(e.deals_reduced) u where reducing) as deals_reduced,
        (select array_agg(u) from e, unnest(e.marks_opened) u where opening) as marks_opened,
        (select array_agg(u) from e, unnest(e.marks_reduced) u where reducing) as marks_reduced
    from e
) t
cross join lateral (
    select sum(d.profit) as profit, sum(d.swap) as swap, sum(d.commission) as commission
    from observations d
    where d.kind = 'deal' and d.namespace = o.namespace and d.account = o.account
      and (
          d.deal = any (t.deals_opened) or d.deal = any (t.deals_reduced)
          or d.mark = any (t.marks_opened) or d.mark = any (t.marks_reduced)
          or (d.mark = 0 and d.position_ticket = any (t.tickets))
      )
) money
where o.lots_opened > 0
  and not exists (
    select
    from facts e
    join ends x on (x.namespace, x.account, x.fact, x.at) = (o.namespace, o.account, e.id, e.captured)
    where (e.namespace, e.source, e.source_account, e.position) = (f.namespace, f.source, f.source_account, f.position)
      and e.revision >= start.revision and x.lots_opened > 0
      and (e.revision, x.committed, x.fact) < (f.revision, o.committed, o.fact)
  );
