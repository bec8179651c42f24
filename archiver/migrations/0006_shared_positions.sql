-- On a netting account trades share MT5's one position of a symbol, and money is shared with it. What was wrong:
--
-- * Where trades of both sides stand against each other, an exit goes past zero. MT5 takes its deal for an opening and
--   begins a position with another number, in which the trades of the other side go on. It closes the exit's own trade,
--   though; and what a level or a hand closes there is money of those who go on.
-- * What closes a position by itself is money of all trades that are in it, by their lots, and of one side alone. It
--   bears the mark of the first of them, or none.
-- * What others add to a position costs none of ours.
--
-- Still told as MT5 books it: an opening that stands against another trade realises what that one has won so far.
-- Where several trades of one side and one of the other are open, what closes the difference by itself is told of each
-- of the several as far as it was open, which can be more than it was in all.

create index outcomes_crossed on outcomes (namespace, account, symbol, at) where result = 'closed' and lots_opened > 0;

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
    case when f.held_after + f.coming_after > 0 then o.price_opened - f.price else f.price - o.price_opened end
        as slippage,
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
            x.*, m.revision, x.result = 'closed' and x.lots_opened > 0 as crossed,
            (m.revision = f.revision or stop.revision is null or m.revision < stop.revision)
                and not (x.result = 'closed' and x.lots_opened > 0) as opening,
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
        coalesce(sum(e.lots_reduced + case when crossed then e.lots_opened else 0 end) filter (where reducing), 0)
            as lots_closed,
        sum(e.lots_opened * e.price_opened) filter (where opening)
            / nullif(sum(e.lots_opened) filter (where opening and e.price_opened is not null), 0) as price_opened,
        sum(
            coalesce(e.lots_reduced * e.price_reduced, 0)
            + case when crossed then coalesce(e.lots_opened * e.price_opened, 0) else 0 end
        ) filter (where reducing) / nullif(sum(
            case when e.price_reduced is null then 0 else e.lots_reduced end
            + case when crossed and e.price_opened is not null then e.lots_opened else 0 end
        ) filter (where reducing), 0) as price_closed,
        min(coalesce(e.answered, e.committed)) filter (where opening and e.lots_opened > 0) as opened,
        max(coalesce(e.answered, e.committed)) filter (where reducing and (crossed or e.lots_reduced > 0)) as reduced,
        case when stop.revision is not null
            then max(coalesce(e.answered, e.committed)) filter (where reducing and (crossed or e.lots_reduced > 0))
            end as closed,
        (array_agg(e.symbol order by e.committed) filter (where e.symbol is not null))[1] as symbol,
        count(distinct e.fact) as facts,
        (array_agg(e.fact order by e.revision desc, e.committed desc))[1] as last_fact,
        (select array_agg(distinct u) from e, unnest(e.tickets_opened) u where opening and lots_opened > 0) as tickets,
        (select array_agg(u) from e, unnest(e.deals_opened) u where opening) as deals_opened,
        (
            select array_agg(u)
            from e, unnest(e.deals_reduced || case when crossed then e.deals_opened else '{}' end) u
            where reducing
        ) as deals_reduced,
        (select array_agg(u) from e, unnest(e.marks_opened) u where opening) as marks_opened,
        (
            select array_agg(u)
            from e, unnest(e.marks_reduced || case when crossed then e.marks_opened else '{}' end) u
            where reducing
        ) as marks_reduced
    from e
) t
cross join lateral (
    -- the trade's side, and every number that the position has had in which it is
    select
        mine.side,
        t.tickets || array(
            select distinct u
            from outcomes x, unnest(x.tickets_opened) u
            where x.result = 'closed' and x.lots_opened > 0
              and (x.namespace, x.account, x.symbol) = (o.namespace, o.account, t.symbol)
              and x.at >= o.at - interval '1 day'
              and x.at <= coalesce(greatest(stop.captured, t.reduced), 'infinity') + interval '1 day'
              and exists (
                select from jsonb_to_recordset(x.body -> 'steps') as step (kind text, side text)
                where step.kind = 'open' and step.side = mine.side
              )
        ) as tickets
    from (select case when f.held_after + f.coming_after > 0 then 'buy' else 'sell' end as side) mine
) share
cross join lateral (
    -- A broker's clock differs from ours by up to a day; what closed by itself may be told after the source's close.
    with deals as materialized (
        select found.*,
            -- made by a level, the broker or a person
            found.reason <> 'copier' and found.deal <> all (coalesce(t.deals_reduced, '{}')) as alone
        from (
            select o.at - interval '2 days' as since,
                case when stop.captured is null then 'infinity'
                    else greatest(t.reduced, stop.captured) + interval '31 days' end as until
        ) span
        cross join lateral (
            select d.deal, d.at, d.profit, d.swap, d.commission, d.volume, d.price, d.seen, d.direction, d.reason,
                d.side, d.position_ticket
            from unnest(t.deals_opened || t.deals_reduced) n
            join observations d on d.kind = 'deal' and (d.namespace, d.account, d.deal) = (o.namespace, o.account, n)
                and d.at >= span.since and d.at <= span.until
            union
            select d.deal, d.at, d.profit, d.swap, d.commission, d.volume, d.price, d.seen, d.direction, d.reason,
                d.side, d.position_ticket
            from unnest(t.marks_opened || t.marks_reduced) n
            join observations d on d.kind = 'deal' and (d.namespace, d.account, d.mark) = (o.namespace, o.account, n)
                and d.at >= span.since and d.at <= span.until
            union
            select d.deal, d.at, d.profit, d.swap, d.commission, d.volume, d.price, d.seen, d.direction, d.reason,
                d.side, d.position_ticket
            from unnest(share.tickets) n
            join observations d on d.kind = 'deal'
                and (d.namespace, d.account, d.position_ticket) = (o.namespace, o.account, n)
                and (coalesce(d.mark, 0) = 0 or d.reason <> 'copier') and d.at >= span.since and d.at <= span.until
        ) found
    )
    select sum(mine.profit) as profit, sum(mine.swap) as swap, sum(mine.commission) as commission,
        -- never more than was still open: on a netting account a position can hold volume of others
        least(coalesce(sum(mine.volume) filter (where d.alone), 0), greatest(t.lots - t.lots_closed, 0)) as lots,
        sum(mine.volume * d.price) filter (where d.alone) / nullif(sum(mine.volume) filter (where d.alone), 0) as price,
        max(d.seen) filter (where d.alone and mine.volume > 0) as closed
    from deals d
    cross join lateral (
        -- What the trade had of what the position held, each without what closed by itself there before, which took the
        -- same share of all. Where nobody has told what the position held it was the trade's.
        select
            case when d.alone then (
                select greatest(0, case when count(*) = 0 then t.lots else coalesce(sum(
                    case when m.side = share.side then m.volume else -m.volume end
                ) filter (where m.deal < d.deal), 0) end - (
                    -- what has closed by itself in another position is not in this one
                    select coalesce(sum(b.volume), 0)
                    from deals b
                    where b.alone and b.direction <> 'in' and b.side <> share.side and b.deal < d.deal
                      and b.deal > coalesce(min(m.deal), 0) and b.position_ticket <> d.position_ticket
                ))
                from deals m where not m.alone
            ) end as mine,
            case when d.alone then (
                select abs(sum(case when p.side = 'buy' then p.volume else -p.volume end))
                from observations p
                where p.kind = 'deal' and (p.namespace, p.account) = (o.namespace, o.account)
                  and p.position_ticket = d.position_ticket and p.deal < d.deal and p.at <= d.at + interval '1 day'
                  and (p.reason = 'copier' or p.direction = 'in')
            ) end as whole
    ) held
    cross join lateral (
        select held.mine = 0 or held.whole > held.mine as shared, coalesce(nullif(held.whole, 0), 1) as whole
    ) part
    cross join lateral (
        select
            case when shared then round(d.profit * held.mine / part.whole, 8) else d.profit end as profit,
            case when shared then round(d.swap * held.mine / part.whole, 8) else d.swap end as swap,
            case when shared then round(d.commission * held.mine / part.whole, 8) else d.commission end as commission,
            case when shared then round(d.volume * held.mine / part.whole, 8) else d.volume end as volume
    ) mine
    where not d.alone or (d.direction <> 'in' and d.side <> share.side)
) money
where o.lots_opened > 0 and o.result <> 'closed'
  and not exists (
    select
    from facts e
    join ends x on (x.namespace, x.account, x.fact, x.at) = (o.namespace, o.account, e.id, e.captured)
    where (e.namespace, e.source, e.source_account, e.position) = (f.namespace, f.source, f.source_account, f.position)
      and e.captured <= o.at + interval '1 day'
      and e.revision >= start.revision and x.lots_opened > 0 and x.result <> 'closed'
      and (e.revision, x.committed, x.fact) < (f.revision, o.committed, o.fact)
  );
