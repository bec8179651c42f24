"""A source, a simulated terminal and lanes around one Valkey, for tests that follow facts end to end."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from redis.asyncio import Redis

from executor.book import Link
from executor.bookkeeping import Bookkeeper
from executor.lane import Lane, never
from executor.mt5.api import Connected, Credentials, Unknown
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.remote import Remote
from executor.mt5.terminal import Deadlines, Terminal
from executor.service import SIMULATOR
from executor.settings import Account, Limits, Simulated
from shared import facts, outcomes, process, streams
from shared.facts import Amount, Contract, Exposure, Fact, Levels, Order, Quote
from shared.streams import Keys, Published, Publisher
from shared.wire import Codec, Keyring

NAMESPACE = "rig"
ACCOUNT = "main"
KEYS = Keys(NAMESPACE)
CODEC = Codec(NAMESPACE, Keyring(current="k1", keys={"k1": b"1" * 32}))
OWNER = "ingest-rig"
PATIENCE_S = 30.0
GRACE_S = 1.0
NO_LEVELS = Levels()
NO_LINKS: Mapping[str, Link] = {}


class Simulator:
    """A simulated terminal of its own process, with its state in `folder`."""

    def __init__(self, folder: Path, margin: str = "hedging") -> None:
        self._folder = folder
        self._margin = margin
        self._process: Any = None
        self.address = ""

    async def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "address").unlink(missing_ok=True)
        command = [sys.executable, "-m", "executor.mt5.simulator.server", "--state", str(self._folder)]
        command += [
            "--login",
            "1",
            "--server",
            "Demo",
            "--margin-mode",
            self._margin,
            "--listen",
            self.address or "127.0.0.1:0",
        ]
        self._process = process.spawn(command)
        async with asyncio.timeout(PATIENCE_S):
            while not (self._folder / "address").exists():
                assert self._process.poll() is None, "the simulator ended"
                await asyncio.sleep(0.01)
        self.address = (self._folder / "address").read_text()

    def stop(self) -> None:
        process.end(self._process, [signal.SIGTERM])

    def credentials(self) -> Credentials:
        return Credentials(self.address, 1, "", "Demo")

    def goes_wrong(self, kind: FaultKind, **how: Any) -> None:
        """The next call that trades (or `function`) goes wrong; see the simulator's faults. Blocks briefly."""
        with closing(Remote.at(self.address)) as remote:
            remote.fault(Fault(kind=kind, **how))

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        with closing(Remote.at(self.address)) as remote:
            remote.clear_faults()

    def price(self, symbol: str, bid: str, ask: str) -> None:
        """Pin a price; what it triggers is done when this returns."""
        with closing(Remote.at(self.address)) as remote:
            remote.price(symbol, bid, ask)

    def rules(self, symbol: str, **rules: Any) -> None:
        """Change a symbol's rules as the broker would; `like=NAME` makes a new symbol."""
        with closing(Remote.at(self.address)) as remote:
            remote.symbol(symbol, **rules)

    async def close_by_hand(self) -> None:
        """Close everything as a person at the terminal would."""
        async with self.eyes() as eyes:
            positions = await eyes.positions()
        assert not isinstance(positions, Unknown)
        with closing(Remote.at(self.address)) as remote:
            for p in positions:
                remote.trade(action=1, symbol=p.symbol, volume=p.volume, type=1 - p.type, position=p.ticket)

    async def orders(self) -> list[int]:
        """Tickets of the orders that rest."""
        async with self.eyes() as eyes:
            orders = await eyes.orders()
            assert not isinstance(orders, Unknown)
            return [o.ticket for o in orders]

    @asynccontextmanager
    async def keeper(self, links: Mapping[str, Link] = NO_LINKS) -> AsyncIterator[tuple[Terminal, Bookkeeper]]:
        """A bookkeeper of the account, with everything read."""
        terminal = Terminal(SIMULATOR)
        await terminal.start()
        try:
            connected = await terminal.connect(self.credentials())
            assert isinstance(connected, Connected), connected
            keeper = Bookkeeper(ACCOUNT, terminal, lambda: datetime.now(UTC))
            await keeper.open(connected, links)
            yield terminal, keeper
        finally:
            await terminal.stop()

    def trade(self, **request: Any) -> Any:
        """Send a request as a person at the terminal would."""
        with closing(Remote.at(self.address)) as remote:
            return remote.trade(**request)

    @asynccontextmanager
    async def eyes(self) -> AsyncIterator[Terminal]:
        """A second connection that only looks."""
        terminal = Terminal(SIMULATOR)
        await terminal.start()
        try:
            await terminal.connect(self.credentials())
            yield terminal
        finally:
            await terminal.stop()

    async def volumes(self) -> list[tuple[str, int, float]]:
        """What is open: symbol, type (0 buy) and lots."""
        async with self.eyes() as eyes:
            positions = await eyes.positions()
            assert not isinstance(positions, Unknown)
            return [(p.symbol, p.type, p.volume) for p in positions]

    async def deals(self) -> list[Any]:
        """Every deal but the first deposit."""
        async with self.eyes() as eyes:
            now = int(datetime.now(UTC).timestamp())
            deals = await eyes.history_deals(now - 200_000, now + 200_000)
            assert not isinstance(deals, Unknown)
            return [d for d in deals if d.symbol]


class Source:
    """Publishes facts of one hedging source as ingest would."""

    def __init__(self, redis: Redis, model: facts.Model = "hedging", producer: str = "rig") -> None:
        self._redis = redis
        self._producer = producer
        self._publisher = Publisher(redis, KEYS, CODEC)
        self._model = model
        self._revisions: dict[str, int] = {}
        self._held: dict[str, Amount] = {}
        self.seq = 0

    async def open(self) -> None:
        await self._redis.set(KEYS.source("lease", "demo"), OWNER)

    def succeeding(self, before: "Source") -> "Source":
        """Go on from what another producer has told, with numbers of its own."""
        self._revisions, self._held = dict(before._revisions), dict(before._held)
        return self

    async def buy(self, position: str, quantity: str = "0.1", levels: Levels = NO_LEVELS, **more: Any) -> Fact:
        """A market order for more of `position` (negative: a sell), accepted and not filled yet."""
        number = Decimal(quantity)
        order = Order(
            id=f"{position}-{self.seq}", type="market", side="buy" if number > 0 else "sell", quantity=abs(number)
        )
        return await self.tell(facts.OrderPlaced, position, number, order=order, levels=levels, **more)

    async def limit(self, position: str, quantity: str, price: str, **more: Any) -> facts.OrderPlaced:
        """A limit order that rests; `more` are fields of the order."""
        number = Decimal(quantity)
        order = Order(
            id=position,
            type="limit",
            side="buy" if number > 0 else "sell",
            quantity=abs(number),
            limit_price=Decimal(price),
            **more,
        )
        placed = await self.tell(facts.OrderPlaced, position, Decimal(0), order=order)
        assert isinstance(placed, facts.OrderPlaced)
        return placed

    async def fill(self, placed: facts.OrderPlaced) -> Fact:
        """The resting order has filled whole."""
        order = replace(placed.order, filled=placed.order.quantity, average_price=placed.order.limit_price)
        return await self.tell(facts.OrderFilled, placed.exposure.position, order.signed, order=order)

    async def end(self, placed: facts.OrderPlaced, ending: facts.Ending) -> Fact:
        """The resting order has ended unfilled."""
        position = placed.exposure.position
        return await self.tell(facts.OrderEnded, position, Decimal(0), order=placed.order, reason=ending)

    async def close(self, position: str, quantity: str | None = None) -> Fact:
        """A close of all or some of `position`, accepted and not filled yet."""
        held = self._held[position].total
        number = -held if quantity is None else -Decimal(quantity) * (1 if held > 0 else -1)
        kind = facts.PositionClosed if held + number == 0 else facts.PositionChanged
        return await self.tell(kind, position, number)

    async def levels(self, position: str, **levels: Any) -> Fact:
        return await self.tell(facts.PositionChanged, position, Decimal(0), levels=Levels(**levels))

    def signs_with(self, codec: Codec) -> None:
        """From now on."""
        self._publisher = Publisher(self._redis, KEYS, codec)

    async def publish(self, fact: Fact) -> str:
        answer = await self._publisher.publish(fact, OWNER)
        assert isinstance(answer, Published), answer
        return answer.entry

    async def held(self, position: str, quantity: str) -> Fact:
        """The first look at the source shows a position that was there before."""
        self._held[position] = Amount(coming=Decimal(quantity))
        return await self.tell(facts.PositionChanged, position, Decimal(0))

    async def tell(self, kind: Any, position: str, number: Decimal, **more: Any) -> Fact:
        """Publish a fact of any kind that changes the total of `position` by `number`."""
        self.seq += 1
        before = self._held.get(position, Amount())
        after = Amount(held=before.held, coming=before.coming + number)
        revision = self._revisions[position] = self._revisions.get(position, 0) + 1
        self._held[position] = after
        exposure = Exposure(position=position, revision=revision, before=before, after=after)
        fact: Fact = kind(**{**self._header(position, revision), "exposure": exposure, **more})
        await self.publish(fact)
        return fact

    def _header(self, position: str, revision: int) -> dict[str, Any]:
        return {
            "id": f"demo/10001/position:{position}/{revision}",
            "source": "demo",
            "account": "10001",
            "instrument": "EURUSD",
            "model": self._model,
            "producer": self._producer,
            "seq": self.seq,
            "captured": datetime.now(UTC),
            "quote": Quote(bid=Decimal("1.08504"), ask=Decimal("1.08512")),
            "contract": Contract(unit="lots", lot_size=Decimal(100000)),
        }


def account(**changes: Any) -> Account:
    """Settings that follow everything: guards that would depend on the simulator's prices are wide open."""
    wide = Limits(max_age=Decimal(60), max_drift_percent=Decimal(100), max_spread_percent=Decimal(100))
    fields: dict[str, Any] = {"terminal": Simulated(), "sources": ("demo",), "limits": wide}
    fields |= {"window": 0.2, "deadline": 0.5, "grace": GRACE_S}
    return Account(**{**fields, **changes})


class Watching:
    """Says when a lane is active."""

    def __init__(self) -> None:
        self.active = asyncio.Event()
        self.conditions: list[str] = []

    def lane(self, account: str, condition: str) -> None:
        self.conditions.append(condition)
        if condition == "active":
            self.active.set()


@asynccontextmanager
async def running(
    url: str,
    simulator: Simulator,
    settings: Account | None = None,
    *,
    reach: Callable[[str], None] = never,
    lease_s: float = 5.0,
    wait: bool = True,
    codec: Codec = CODEC,
    name: str = ACCOUNT,
) -> AsyncIterator[Lane]:
    """A lane at work. Leaving the context stops it as a service would."""
    terminal = Terminal(SIMULATOR, deadlines=Deadlines(order=0.5, read=2.0))
    await terminal.start()
    work, blocking = streams.connect(url), streams.connect(url)
    watching = Watching()
    asked = settings or account()
    lane = Lane(
        name, asked, simulator.credentials(), terminal, work, blocking, KEYS, codec, lease_s, watching, reach=reach
    )
    task = asyncio.create_task(lane.run())
    try:
        if wait:
            await asyncio.wait({task, asyncio.create_task(watching.active.wait())}, return_when=asyncio.FIRST_COMPLETED)
            assert not task.done(), task.exception()
        yield lane
    finally:
        await process.cancelled(task)
        await asyncio.gather(task, return_exceptions=True)
        await lane.stop()
        await work.aclose()
        await blocking.aclose()


async def ended(redis: Redis, count: int) -> list[outcomes.Outcome]:
    """The outcomes so far, once there are `count` of them."""
    async with asyncio.timeout(PATIENCE_S):
        while len(found := [m for m in await told(redis) if isinstance(m, outcomes.Outcome)]) < count:
            await redis.xread({KEYS.outcomes: "$"}, block=50)
    return found


async def told(redis: Redis) -> list[outcomes.Message]:
    """Everything on the outcomes stream, in order."""
    raw: Any = await redis.xrange(KEYS.outcomes)
    messages = [CODEC.outcome(fields) for _, fields in raw]
    assert all(isinstance(m, outcomes.Message) for m in messages), messages
    return [m for m in messages if isinstance(m, outcomes.Message)]
