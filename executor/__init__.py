"""Orders stream -> MetaTrader 5 -> outcomes stream: each fact takes effect on each account at most once.

    entry -> translate (steps) -> guards (per step) -> fence -> terminal -> classify -> commit

`translate`, `netting`, `instruments`, `guards`, `states`, `classify` and `reconcile` decide and touch nothing.
`ledger` is the account's memory in Redis with the scripts that fence and commit; `lane` is the loop of one account;
`service` runs many. `mt5/` owns everything about the vendor, `mt5/child.py` alone the vendor's module.

Invariants: nothing is sent without the fence right before it; an outcome is written and a fact acknowledged only by
the commit; what is unknown is searched before it is sent again; a reducing step has no guard.
"""
