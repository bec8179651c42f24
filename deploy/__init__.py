"""Everything that knows all services: the `tradecopier` command, the servers it embeds, running all on one machine.

`cli` gathers the commands of the services and imports each only when it is called. `embedded` starts Valkey and
PostgreSQL from their wheels (`daemon` is what the two have in common). `local` is the command `up`: `settings` reads
the whole file at once, `fleet` starts servers, simulated terminals and services (each a `worker`) on the `groundwork`
they need, and `tail` shows their logs. `demo` has a broker and a trader of its own around the same fleet. Nothing here
decides about a trade, and no service imports from here.
"""
