"""TradingView -> the orders stream: what a trader does in TradingView becomes facts.

    tap ─► exchange ─► broker_rest | paper ─► picture.interpret ─► outbox ─► orders stream
           (values)    (calls and polls)      (pure: facts)        (disk)

`exchange` holds what passed the proxy, without secrets; `source` what the settings say about it. `broker_rest` (with
`rest_rows`) and `paper` know the two protocols and give the vocabulary of `calls`. `picture` keeps what one source
account looks like and is the entry for the tap: `interpret(picture, exchange or frame, source, stamp)` returns the new
picture, the facts in order, and notes on everything that is no fact. Behind it: `state` (what a picture is made of),
`desk` (a working copy that changes are written on), `accepted` (calls), `matching` (positions as polls show them),
`orders` (orders as polls show them) and `levels` (stop loss and take profit).

What always holds: only the broker's own yes counts; a failed poll is unknown, never flat; a poll says nothing about
what a call has touched since the poll's request left; what no call explains needs two polls; the same exchange seen
twice changes nothing.
"""
