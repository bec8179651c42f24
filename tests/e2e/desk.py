"""A trader's desk for tests: both stand-ins and the page on hosts of their own, ingest as a process of its own between
them and whoever trades, and the facts as they are in the stream.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from redis.asyncio import Redis

from deploy.demo.authority import SERVER_FILE, issue
from deploy.demo.broker import Broker, Quotes
from deploy.demo.page import Page, PageSettings, PaperSeat, RestSeat
from deploy.demo.paper import Paper
from deploy.demo.paperrules import PaperRules
from deploy.demo.rules import Price, Rules
from deploy.demo.web import Answer, Request
from deploy.worker import Job, Worker
from shared import streams
from shared.facts import Fact
from shared.streams import Keys
from shared.wire import Codec, Keyring
from tests.e2e.processes import environment

NAMESPACE = "desk"
KEY = bytes(range(32))
HOST = "localhost"
REST_ACCOUNT, PAPER_ACCOUNT = "10001", 1234567
PATIENCE_S = 30


class WatchedBroker(Broker):
    """Counts what it is asked by method."""

    def __init__(self, quotes: Quotes, rules: Rules) -> None:
        self.asked: Counter[str] = Counter()
        super().__init__(quotes, time.time, rules)

    def answer(self, request: Request) -> Answer:
        self.asked[request.method] += 1
        return super().answer(request)


class WatchedPaper(Paper):
    """The same."""

    def __init__(self, quotes: Quotes, rules: PaperRules) -> None:
        self.asked: Counter[str] = Counter()
        super().__init__(quotes, time.time, rules)

    def answer(self, request: Request) -> Answer:
        self.asked[request.method] += 1
        return super().answer(request)


@dataclass
class Desk:
    """Everything about one desk. `prices` stand still until a test changes them."""

    folder: Path
    redis: Redis
    rest_rules: Rules
    paper_rules: PaperRules
    prices: dict[str, Price] = field(
        default_factory=lambda: {
            "EURUSD": Price(D("1.08504"), D("1.08512")),
            "GBPUSD": Price(D("1.27310"), D("1.27321")),
            "XAUUSD": Price(D("2650.10"), D("2650.35")),
            "BTCUSD": Price(D("68250.5"), D("68251.5")),
        }
    )

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        for name in ("broker", "page"):
            (self.folder / name).mkdir()
        # Two authorities: the proxy is told of the first one only.
        self.broker_ca, self._context = issue(self.folder / "broker", HOST, now)
        self.page_ca, self._page_context = issue(self.folder / "page", HOST, now)
        self.broker = WatchedBroker(self.quote, self.rest_rules)
        self.paper = WatchedPaper(self.quote, self.paper_rules)
        self.page: Page | None = None
        self.proxy = ""

    def quote(self, instrument: str, _now: float) -> Price:
        return self.prices[instrument]

    @property
    def page_url(self) -> str:
        assert self.page is not None
        return f"https://{HOST}:{self.page.port}"

    @property
    def rest_url(self) -> str:
        return f"https://{HOST}:{self.broker.port}"

    @property
    def paper_url(self) -> str:
        return f"https://{HOST}:{self.paper.port}"

    @property
    def page_file(self) -> Path:
        return self.folder / "page" / SERVER_FILE

    @property
    def page_certificate(self) -> x509.Certificate:
        """What the page's host shows whoever connects to it."""
        return x509.load_pem_x509_certificate(self.page_file.read_bytes())

    @property
    def proxy_folder(self) -> Path:
        return self.folder / "data" / "proxy"

    async def serve(self, stack: AsyncExitStack) -> None:
        """Start the stand-ins; the page is told where they are."""
        for each in (self.broker, self.paper):
            stack.push_async_callback(each.stop)
            await each.start(self._context)
        settings = PageSettings(
            rest=RestSeat(url=self.rest_url, token=self.broker.token, account=REST_ACCOUNT),
            paper=PaperSeat(url=self.paper_url, account=PAPER_ACCOUNT),
            poll=60,
        )
        self.page = Page(settings, self.paper.session)
        stack.push_async_callback(self.page.stop)
        await self.page.start(self._page_context)
        # The page's origin may call; it is known only now that it listens.
        for each in (self.broker, self.paper):
            each.origins.add(self.page_url)

    async def copy(self, stack: AsyncExitStack, redis_url: str) -> Worker:
        """Start ingest; returns when its proxy listens."""
        key, config, ready = (self.folder / name for name in ("key", "tradecopier.toml", "ready"))
        key.write_text(f"k1:{KEY.hex()}\n")
        key.chmod(0o600)
        config.write_text(self._settings(key))
        argv = (sys.executable, "-m", "deploy", "--config", str(config), "--log-level", "debug", "ingest", "run")
        told = {**environment(), "TRADECOPIER_REDIS__URL": redis_url}
        worker = Worker(Job("ingest", (*argv, "--ready-file", str(ready)), told, ready), self.folder / "data")
        stack.push_async_callback(worker.stop)
        await worker.started()
        self.proxy = ready.read_text().strip()
        return worker

    def _settings(self, key: Path) -> str:
        return f"""
            [redis]
            namespace = "{NAMESPACE}"
            [security]
            signing-key-file = "{key}"
            [ingest]
            listen = "127.0.0.1:0"
            metrics = "127.0.0.1:0"
            upstream-ca-file = "{self.broker_ca}"
            [ingest.sources.rest]
            host = "{HOST}:{self.broker.port}"
            account = "{REST_ACCOUNT}"
            quantity-unit = "lots"
            [ingest.sources.paper]
            protocol = "paper"
            host = "{HOST}:{self.paper.port}"
            account = "{PAPER_ACCOUNT}"
            """

    async def facts(self, source: str, enough: Callable[[list[Fact]], bool]) -> list[Fact]:
        """The source's facts in the stream, as soon as they are enough."""
        codec = Codec(NAMESPACE, Keyring(current="k1", keys={"k1": KEY}))
        found: list[Fact] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    entries = cast(list[Any], await self.redis.xrange(Keys(NAMESPACE).orders))
                    read = [codec.fact(fields) for _, fields in entries]
                    assert all(isinstance(fact, Fact) for fact in read), read
                    found = [fact for fact in read if isinstance(fact, Fact) and fact.source == source]
                    if enough(found):
                        return found
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError([(kind_of(fact), fact.exposure.after.total) for fact in found]) from None


def kind_of(fact: Fact) -> str:
    """A fact's kind as it stands in the stream."""
    return str(fact.__struct_config__.tag)


@asynccontextmanager
async def desk(
    folder: Path, redis_url: str, rest: Rules | None = None, paper: PaperRules | None = None
) -> AsyncIterator[Desk]:
    """A desk at work."""
    async with AsyncExitStack() as stack:
        redis = streams.connect(redis_url)
        stack.push_async_callback(redis.aclose)
        found = Desk(folder, redis, rest or Rules(fill_delay=0.05), paper or PaperRules())
        await found.serve(stack)
        await found.copy(stack, redis_url)
        yield found
