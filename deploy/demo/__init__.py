"""A TradingView of our own: a broker that speaks the Broker REST protocol, Paper Trading, and who uses them.

The flow: `story` says what the trader does, `trader` does it over HTTPS through the real proxy, `broker` (the face)
lets `book` (one account, with its `brackets`, on the `floor` where the prices are) answer what `forms` ask with `rows`
(or a `rowstream`), `report` tells from the two streams what became of it on each account, and `verdict` compares at the
end what the broker, the terminals and the archive each hold by themselves (`holdings` reads them). `stage` puts them
around the supervisor of `deploy.local`.

`paper` is the other protocol: `paperbook` (one account) answers what `paperforms` ask, and everything that happens is
pushed as `paperframes` make it. `page` is what a browser opens to trade with both.

All of them are `serving` on loopback over `http2` or `http1` (`websocket`, `encodings`) and are stand-ins for tests,
too: `rules` and `paperrules` say which kind of broker it is and what is odd about it.
"""
