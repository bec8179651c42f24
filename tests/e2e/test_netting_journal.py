"""Trades that stand against each other on a netting account, from the terminal to the journal."""

import asyncio
from decimal import Decimal as D
from pathlib import Path

from deploy.embedded import Valkey
from shared import streams
from shared.outcomes import Deal
from tests.archiver.entries import select
from tests.archiver.test_journal import archive_of
from tests.conftest import Database
from tests.executor.rig import PATIENCE_S, Simulator, Source, account, ended, running, told
from tests.executor.seals import join


async def test_a_trade_that_goes_on_in_a_position_that_an_exit_has_begun_has_its_money_in_the_journal(
    valkey: Valkey, postgres: Database, tmp_path: Path
) -> None:
    terminal, client = Simulator(tmp_path / "terminal", "netting"), streams.connect(valkey.url)
    await join(client)
    source = Source(client)
    await source.open()
    await terminal.start()
    try:
        terminal.price("EURUSD", "1.08504", "1.08512")
        async with running(valkey.url, terminal, account()):
            facts = [await source.buy("A"), await source.buy("B", "-0.1")]
            await ended(client, 2)
            facts.append(await source.close("A"))
            await ended(client, 3)
            terminal.price("EURUSD", "1.08000", "1.08008")
            await terminal.close_by_hand()
            async with asyncio.timeout(PATIENCE_S):
                while len(deals := [m for m in await told(client) if isinstance(m, Deal)]) < 4:
                    await asyncio.sleep(0.05)
        dsn = await archive_of(postgres, [*facts, *await told(client)])
    finally:
        terminal.stop()
        await client.aclose()

    found = select(dsn, "select side, state, lots, lots_closed, net from trades order by captured")
    assert [row[:4] for row in found] == [(side, "closed", D("0.1"), D("0.1")) for side in ("buy", "sell")]
    assert sum(row[4] for row in found) == sum(d.profit + d.swap + d.commission for d in deals)
    assert found[1][4] > found[0][4], "it has gone on while the price fell"
