"""A MetaTrader 5 that runs anywhere: for the demo, for paper trading and for tests.

`engine` and the pure modules around it decide what a broker would (`market` prices, `checks` refusals, `fills` deals,
`triggers` what happens without a request, `views` the vendor's records); `desk` answers the vendor's functions out of
them, with faults on request; `server` is the terminal process that keeps the state on disk; `client` is the module
surface of the vendor's package, so that nothing above it can tell the two apart.
"""
