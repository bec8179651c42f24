-- A trade ends on an account also when MetaTrader 5 ends it: by a stop, a take profit, a stop out, or by hand in the
-- terminal. Then no step of ours closed it, and only its deals say so. Their lots and prices count like those of our
-- own closes, so that such a trade is `closed`, whatever the source does later, and is among those won or lost.

create or replace view trades as
select
    o.namespace, o.account, f.source, f.source_account, f.position, f.instrument, t.symbol,
    case when f.held_after + f.coming_after > 0 then 'buy' else 'sell' end as side,
    o.at as captured,
    t.opened,
    case when t.lots_closed + money.lots >= t.lots then greatest(t.reduced, money.closed) else t.closed end as closed,
    case
        when t.lots_closed + money.lots >= t.lots then 'closed'
        when stop.revision is not null then 'closing'
        else 'open'
    end as state,
    t.lots, t.lots_closed + money.lots as lots_closed,
    f.price as source_price, t.price_opened,
    case
        when money.lots = 0 then t.price_closed
        when t.lots_closed = 0 then money.price
        else (t.lots_closed * t.price_closed + money.lots * money.price) / (t.lots_closed + money.lots)
    end as price_closed,
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
      and p.captured <= o.at + interval '1 day'
      and p.revision < f.revision and (p.flattens or p.reverses)
) start
left join lateral (
    -- the revision that ends it
    select n.revision, n.captured
    from facts n
    where (n.namespace, n.source, n.source_account, n.position) = (f.namespace, f.source, f.source_account, f.position)
      and n.captured >= o.at - interval '1 day'
      and ((n.revision >= f.revision and n.flattens) or (n.revision > f.revision and n.reverses))
    order by n.revision, n.captured desc
    limit 1
) stop on true
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
              and m.captured <= coalesce(stop.captured, 'infinity') + interval '31 days'
            order by id, captured, producer, seq
        ) m
        join lateral (
            select * from ends x
            where (x.namespace, x.account, x.fact, x.at) = (o.namespace, o.account, m.id, m.captured)
        ) x on true
    )
    select
        coalesce(sum(e.lots_opened) filter (where opening), 0) as lots,
        coalesce(sum(e.lots_reduced) filter (where reducing), 0) as lots_closed,
        sum(e.lots_opened * e.price_opened) filter (where opening)
            / nullif(sum(e.lots_opened) filter (where opening and e.price_opened is not null), 0) as price_opened,
        sum(e.lots_reduced * e.price_reduced) filter (where reducing)
            / nullif(sum(e.lots_reduced) filter (where reducing and e.price_reduced is not null), 0) as price_closed,
        min(coalesce(e.answered, e.committed)) filter (where opening and e.lots_opened > 0) as opened,
        max(coalesce(e.answered, e.committed)) filter (where reducing and e.lots_reduced > 0) as reduced,
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
    -- A broker's clock differs from ours by up to a day; what closed by itself may be told after the source's close.
    select sum(profit) as profit, sum(swap) as swap, sum(commission) as commission,
        -- never more than was still open: on a netting account a position can hold volume of others
        least(coalesce(sum(volume) filter (where alone), 0), greatest(t.lots - t.lots_closed, 0)) as lots,
        sum(volume * price) filter (where alone) / nullif(sum(volume) filter (where alone), 0) as price,
        max(seen) filter (where alone) as closed
    from (
        select o.at - interval '2 days' as since,
            case when stop.captured is null then 'infinity' else greatest(t.reduced, stop.captured) + interval '31 days' end
                as until
    ) span
    cross join lateral (
        select d.deal, d.at, d.profit, d.swap, d.commission, d.volume, d.price, d.seen, d.direction, d.reason
        from unnest(t.deals_opened || t.deals_reduced) n
        join observations d on d.kind = 'deal' and (d.namespace, d.account, d.deal) = (o.namespace, o.account, n)
            and d.at >= span.since and d.at <= span.until
        union
        select d.deal, d.at, d.profit, d.swap, d.commission, d.volume, d.price, d.seen, d.direction, d.reason
        from unnest(t.marks_opened || t.marks_reduced) n
        join observations d on d.kind = 'deal' and (d.namespace, d.account, d.mark) = (o.namespace, o.account, n)
            and d.at >= span.since and d.at <= span.until
        union
        select d.deal, d.at, d.profit, d.swap, d.commission, d.volume, d.price, d.seen, d.direction, d.reason
        from unnest(t.tickets) n
        join observations d on d.kind = 'deal' and (d.namespace, d.account, d.position_ticket) = (o.namespace, o.account, n)
            and coalesce(d.mark, 0) = 0 and d.at >= span.since and d.at <= span.until
    ) deals
    cross join lateral (
        select deals.direction in ('out', 'out_by') and deals.reason <> 'copier'
            and deals.deal <> all (coalesce(t.deals_reduced, '{}')) as alone
    ) self
) money
where o.lots_opened > 0
  and not exists (
    select
    from facts e
    join ends x on (x.namespace, x.account, x.fact, x.at) = (o.namespace, o.account, e.id, e.captured)
    where (e.namespace, e.source, e.source_account, e.position) = (f.namespace, f.source, f.source_account, f.position)
      and e.captured <= o.at + interval '1 day'
      and e.revision >= start.revision and x.lots_opened > 0
      and (e.revision, x.committed, x.fact) < (f.revision, o.committed, o.fact)
  );
