-- A disagreement between an account and its sources is told when it is certain and once more when it is over. The view
-- shows each one once: from `since` to `ended`, with what it was when it was told first.

alter table observations
    add column finding text,         -- what disagrees; this and the next four only of a drift
    add column subject text,         -- which one: with account and `since` it is one disagreement
    add column remedy  text,
    add column since   timestamptz,  -- seen first
    add column ended   timestamptz;  -- only where it is told that it is over

create index observations_drift on observations (namespace, account, at) where kind = 'drift';

create or replace view drift as
select distinct on (o.namespace, o.account, coalesce(o.since, o.at), coalesce(o.subject, o.identity))
    o.namespace, o.account, o.position, o.symbol, o.expected, o.actual, o.text, o.seen,
    coalesce(o.finding, '') as finding, coalesce(o.remedy, '') as remedy, coalesce(o.since, o.at) as since,
    coalesce(o.ended, later.ended) as ended
from observations o
left join lateral (
    -- told apart by hours and days, seldom by months: asked through the partition's time and the key
    select min(e.ended) as ended from observations e
    where e.kind = 'drift' and e.ended is not null and e.at >= o.at
      and (e.namespace, e.account, e.subject, e.since) = (o.namespace, o.account, o.subject, o.since)
) later on true
where o.kind = 'drift'
order by o.namespace, o.account, coalesce(o.since, o.at), coalesce(o.subject, o.identity), o.seen;
