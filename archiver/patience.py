"""How the archive waits for a server that is away: how long, and how often it says so."""

import asyncio

from shared.process import Stop

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 5.0
SAY_EVERY = 12
"""Once a minute, when attempts have come down to one every five seconds."""


UNREADABLE = "postgres.dsn is not a PostgreSQL connection string, as in postgresql://user:password@host/db"
"""Said without the driver's words, which repeat parts of the dsn, and a password may be among them."""


class Away(Exception):
    """PostgreSQL does not serve us now, through no fault of what it was given; the text is its own, in one line."""


def delay(failures: int) -> float:
    """Seconds until the next attempt after so many earlier failures in a row: doubling, with a bound."""
    return min(FIRST_WAIT_S * 2.0 ** min(failures, 20), LONGEST_WAIT_S)


def worth_saying(failures: int) -> bool:
    """Whether to log this failure, after so many earlier ones: the first and then a few, so that no log is flooded."""
    return failures % SAY_EVERY == 0


def one_line(error: BaseException) -> str:
    """The error's own words in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines) or type(error).__name__


async def wait(stop: Stop, seconds: float) -> None:
    """Wait so long, or until the service stops."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
