"""TradingView -> the orders stream: what a trader does in TradingView becomes facts.

    tap ─► exchange ─► broker_rest | paper ─► picture.interpret ─► outbox ─► orders stream
           (values)    (calls and polls)      (pure: facts)        (disk)

`exchange` holds what passed the proxy, without secrets; `source` what the settings say about it. `broker_rest` and
`paper` know the two protocols (`rest_calls`, `paper_calls`: requests; `rest_rows`, `paper_rows`: what polls list) and
speak the vocabulary of `calls`. `picture` is the entry for the tap: `interpret(picture, exchange or frame, source,
stamp)` returns the new picture of one source account, the facts in order, and notes on everything that is no fact.

Behind it: `state` (what a picture is made of), `desk` (a working copy, the one place where quantities change; `sheet`
knows what was written on it), `changes` (one change), `stating` (change to fact), `forgetting` (what a picture need
not remember). Calls: `accepted`, `subject`, `order_calls`, `position_calls`. Polls: `orders`, `matching` (what a
position's quantity means), `identity` (which position a row is), `levels` (stop loss and take profit). Pushed
frames that may be out of date: `outrun` (by a call), `removal` (a level that is only moved). What cannot be told:
`untold` (for want of a model or a unit), `missed` (it was over before anybody looked).

Around it, the shells: `tap` (the proxy's addon), `intake` (one exchange, every source and account it concerns),
`streaming` (replies read while they pass), `proxy` and `scope` (which hosts are opened), `album` (the pictures and
their patches), `outbox` (what was asked, became of it and was published) over `records`, `segments` and `recollection`;
`ownership` (who owns a source), `succession` and `inheritance` (what a new owner takes over), and `publishing` (outbox
to stream); `steady` and `times` (clocks that are set), `blindness` (sources without polls), `plan` and `service` put it
together. For people: `notice` (what nobody could be told), `explain` with `recording`, `redaction` and `har`, `browser`
and `certificate`.

What always holds: only the broker's own yes counts; a failed poll is unknown, never flat; a poll says nothing about
what a call has touched since the poll's request left; what no call explains needs two polls; the same exchange seen
twice changes nothing.
"""
