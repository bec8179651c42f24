"""What has to be there before a service starts: the consumer groups in Redis and the tables in PostgreSQL.

A group begins where the stream ends at that moment, so it has to exist before the proxy listens. An account that the
archive remembers does not join anew: Redis has lost it, and its open positions would be forgotten. The client libraries
are imported in here, when they are needed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from decimal import Decimal

from shared.process import UserError
from shared.settings import Secret
from shared.wire import Codec

log = logging.getLogger(__name__)

ARCHIVE = "archiver"

Remembered = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Says which of these accounts the archive remembers; asked only about such as have no group."""


async def nothing(_accounts: Collection[str]) -> Collection[str]:
    """The memory of an archive that is new."""
    return ()


async def join_groups(
    url: Secret, codec: Codec, accounts: Iterable[str], remembered: Remembered = nothing
) -> list[str]:
    """Make the accounts' and the archive's groups where they are missing; answers which accounts Redis has lost.

    `codec` is that of their namespace: it seals what they remember, nothing.
    Raises UserError for an unsafe server.
    """
    from redis.exceptions import RedisError, ResponseError

    from deploy import membership
    from deploy.standing import standing
    from shared import groups, streams
    from shared.durability import unsafe
    from shared.plainly import plainly, wrong_type

    keys = streams.Keys(codec.namespace)
    client = streams.connect(url.reveal())
    try:
        if complaints := await unsafe(client):
            raise UserError(f"redis.url: {'; '.join(complaints)}")
        found = [await standing(client, keys, account) for account in accounts]
        missing = [each.account for each in found if each.group == "lost"]
        lost = sorted(await remembered(missing)) if missing else []
        for account in (name for name in missing if name not in lost):
            try:
                await membership.join(client, keys, codec, account)
            except ResponseError as error:
                if not wrong_type(error):
                    raise
                log.error("%s: it does not join, and the others do: %s", account, plainly(error))
        for stream in (keys.orders, keys.outcomes):
            await groups.join_archive(client, stream, ARCHIVE)
        for name in lost:
            log.error("%s: Redis has lost it, nothing is sent: `tradecopier restore --account %s`", name, name)
        return lost
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not serve us: {plainly(error)}") from error
    finally:
        await client.aclose()


async def migrated(dsn: Secret) -> None:
    """Bring the archive's tables up to date. Raises UserError when the database cannot be used."""
    from archiver.migrate import migrate

    await asyncio.to_thread(migrate, dsn.reveal())


async def remembered_by(dsn: Secret, namespace: str, accounts: Collection[str]) -> Collection[str]:
    """Which accounts the archive remembers. Raises UserError when it does not answer."""
    from archiver.originals import Archive
    from archiver.patience import Away

    try:
        return await asyncio.to_thread(Archive(dsn=dsn.reveal(), namespace=namespace).remembered, accounts)
    except Away as error:
        raise UserError(f"postgres.dsn: the archive has to say whether it knows these accounts: {error}") from error


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
