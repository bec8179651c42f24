"""Orders and outcomes streams -> PostgreSQL: everything that happened, for good, exactly once.

    entry -> record (row) -> store (batched, idempotent) -> acknowledge -> trim

`rows` decides what an entry becomes and touches nothing, `tables` says what a row is. `store`, `migrate` and `journal`
are the doors to PostgreSQL; `backlog` and `trim` go to Redis. `intake` is the loop of one stream, `service` runs both.

Invariants: an entry is acknowledged only after its row, or its dead letter, is durable; a row is known by what it *is*,
so an entry that comes again changes nothing; entries leave a stream only when every group, the archive included, has
acknowledged them. A dead PostgreSQL delays the archive, never a trade.
"""
