"""What has to be there before a service starts: the consumer groups in Redis and the tables in PostgreSQL.

A group begins where the stream ends at that moment, so it has to exist before the proxy listens. The client libraries
are imported in here, when they are needed.
"""

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal

from shared.process import UserError
from shared.settings import Secret

ARCHIVE = "archiver"


async def join_groups(url: Secret, namespace: str, accounts: Iterable[str]) -> None:
    """Make the accounts' and the archive's groups where they are missing. Raises UserError for an unsafe server."""
    from redis.exceptions import RedisError

    from shared import streams

    keys = streams.Keys(namespace)
    client = streams.connect(url.reveal())
    try:
        if complaints := await streams.unsafe(client):
            raise UserError(f"redis.url: {'; '.join(complaints)}")
        for account in accounts:
            await streams.join_orders(client, keys, account)
        for stream in (keys.orders, keys.outcomes):
            await streams.join_archive(client, stream, ARCHIVE)
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not serve us: {error}") from error
    finally:
        await client.aclose()


async def migrated(dsn: Secret) -> None:
    """Bring the archive's tables up to date. Raises UserError when the database cannot be used."""
    from archiver.migrate import migrate

    await asyncio.to_thread(migrate, dsn.reveal())


def pin_prices(address: str, prices: Mapping[str, Decimal]) -> None:
    """Pin prices of a simulated terminal, bid and ask alike. Raises UserError for a symbol that it does not have."""
    from executor.mt5.simulator.client import connect

    link = connect(address)
    try:
        for symbol, price in prices.items():
            reply = link.call("admin.price", {"symbol": symbol, "bid": str(price), "ask": str(price)})
            if reply.code < 0:
                raise UserError(f"the simulated terminal has no symbol {symbol}; take it out of the account's prices")
    finally:
        link.close()
