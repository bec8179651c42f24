"""MetaTrader 5 as the executor sees it.

`api` is the vocabulary (enumerations, records, requests, answers), `child` the process that owns the vendor's module,
`terminal` the parent's side of that process, and `simulator` a MetaTrader 5 that runs anywhere. The vendor's module
blocks its whole process and never times out, so nothing but `child` ever imports it.
"""
