"""Everything that knows all services: the `tradecopier` command, the servers it embeds, running all on one machine.

`cli` gathers the commands of the services and imports each only when it is called. `embedded` starts Valkey and
PostgreSQL from their wheels (`daemon` is what the two have in common). Nothing here decides about a trade, and no
service imports from here.
"""
