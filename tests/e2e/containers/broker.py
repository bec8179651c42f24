"""The stand-in broker, listening for other containers; who has the token of all runs may trade."""

import asyncio
import ssl
import time
from pathlib import Path

from deploy.demo import authority
from deploy.demo.broker import Broker
from deploy.demo.rules import Price
from deploy.demo.scenery import CATALOGUE
from deploy.demo.serving import serve
from executor.mt5.simulator import market

PORT = 8443
TOKEN = "the-token-of-all-runs"
SEED = 1
"""Of a simulated terminal's prices, when nothing else is asked for."""


def quoted(instrument: str, now: float) -> Price:
    """The price that a simulated terminal shows at the same moment."""
    quote = market.walk(CATALOGUE[instrument], SEED, int(now * 1000))
    return Price(quote.bid, quote.ask)


async def main() -> None:
    """Serve until killed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(__file__).with_name(authority.SERVER_FILE))
    broker = Broker(quoted, time.time)
    broker.token = TOKEN
    server = await serve(broker.answer, context, "0.0.0.0", PORT)  # noqa: S104  in a container of its own
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
