"""A TradingView of our own: a broker that speaks the Broker REST protocol and a trader who uses it like a browser.

The flow: `story` says what the trader does, `trader` does it over HTTPS through the real proxy, `broker` (the face, on
`web`) lets `book` (one account, with its `brackets`) answer what `forms` ask with `rows`, `report` tells from the two
streams what became of it on each account, and `verdict` compares at the end what the broker, the terminals and the
archive each hold by themselves (`holdings` reads them). `stage` puts them around the supervisor of `deploy.local`. The
broker is a stand-in for tests, too: `rules` says which kind of broker it is.
"""
