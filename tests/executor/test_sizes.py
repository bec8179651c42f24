"""Each way of sizing, and levels at an offset, from the orders stream to the position in the terminal."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.settings import Sizing, SymbolSizing
from shared.facts import Contract, Levels, PositionChanged, Quote
from tests.executor.rig import Simulator, Source, account, ended, running

D = Decimal
STOP = {"levels": Levels(stop_loss=D("1.07512"))}  # 100 pips, 1,000 dollars a lot, under the ask of 1.08512

SIZES: Mapping[str, tuple[Sizing, Mapping[str, Any], float]] = {
    "fixed": (Sizing(mode="fixed", lots=D("0.07")), {}, 0.07),
    "multiplier": (Sizing(factor=D("0.3")), {}, 0.15),
    "units of the source": (Sizing(), {"contract": Contract(unit="units")}, 0.0),
    "equity-ratio": (Sizing(mode="equity-ratio", reference=D(20_000)), {}, 0.25),
    "balance-ratio": (Sizing(mode="balance-ratio", reference=D(5_000)), {}, 1.0),
    "risk-percent": (Sizing(mode="risk-percent", percent=D(2)), STOP, 0.2),
    "risk-percent of a sell": (
        Sizing(mode="risk-percent", percent=D(2)),
        {"levels": Levels(stop_loss=D("1.09504"))},
        -0.2,
    ),
    "notional": (Sizing(mode="notional", amount=D(25_000)), {}, 0.23),
    "an override of the symbol": (Sizing(symbols={"EURUSD": SymbolSizing(factor=D(2))}), {}, 1.0),
    "tiny made the minimum": (Sizing(factor=D("0.001"), tiny="minimum"), {}, 0.01),
}
"""Of half a lot at the source on an account with 10,000 dollars; lots, negative for a sell."""


@pytest.mark.parametrize(("sizing", "more", "lots"), SIZES.values(), ids=SIZES)
async def test_the_size_by(
    valkey: Valkey,
    redis: Redis,
    source: Source,
    simulator: Simulator,
    sizing: Sizing,
    more: Mapping[str, Any],
    lots: float,
) -> None:
    async with running(valkey.url, simulator, account(sizing=sizing)):
        await source.buy("o1", "-0.5" if lots < 0 else "0.5", **more)
        (outcome,) = await ended(redis, 1)

    opened = [(volume if side == 0 else -volume) for _, side, volume in await simulator.volumes()]
    assert opened == ([lots] if lots else [])
    assert outcome.result == ("filled" if lots else "denied"), outcome
    if lots:
        assert outcome.steps[0].volume == abs(D(str(lots)))
        assert outcome.steps[0].at_stop == (D(200) if more else None)


async def test_a_size_by_units_is_the_same_amount_of_the_underlying(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "30000", contract=Contract(unit="units"))
        await ended(redis, 1)

    assert await simulator.volumes() == [("EURUSD", 0, 0.3)]


async def test_levels_at_an_offset_keep_their_distance_from_the_sources_price(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The source quotes a tenth higher than the account; its levels go with it, at the opening and when moved."""
    quote = Quote(bid=D("1.18504"), ask=D("1.18512"))
    async with running(valkey.url, simulator, account(stops="offset")), simulator.eyes() as eyes:
        await source.buy("o1", quote=quote, levels=Levels(stop_loss=D("1.18000"), take_profit=D("1.20000")))
        await ended(redis, 1)
        first: Any = await eyes.positions()
        await source.tell(PositionChanged, "o1", D(0), quote=quote, levels=Levels(stop_loss=D("1.18200")))
        await ended(redis, 2)
        second: Any = await eyes.positions()

    assert [(p.sl, p.tp) for p in first] == [(1.08, 1.1)]
    assert [(p.sl, p.tp) for p in second] == [(1.082, 1.1)]


async def test_a_size_whose_loss_at_the_stop_is_more_than_allowed_is_never_opened(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    from msgspec.structs import replace

    tight = replace(account().limits, max_risk_percent=D(1))
    async with running(valkey.url, simulator, account(limits=tight)):
        await source.buy("o1", "0.5", **STOP)
        await source.buy("o2", "0.1", **STOP)
        await source.buy("o3", "0.01")
        found = await ended(redis, 3)

    assert [(o.result, o.reason) for o in found] == [("denied", "risk"), ("filled", ""), ("denied", "no-stop-loss")]
    assert found[0].text == "500 USD (5 %) would be lost at the stop; 1 % are allowed"
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
