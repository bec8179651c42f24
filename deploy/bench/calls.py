"""Calls of a page at a broker, timed: polls and trading calls, on a connection that is kept or on a new one each."""

import itertools
import time
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from deploy.demo.trader import Line, Seat, request_id

PAUSE_S = 0.004
"""Between two calls: what a call leaves to be done beside it (publishing) is not part of the next one."""
RESTING = {"instrument": "EURUSD", "qty": "0.01", "side": "buy", "type": "limit", "limitPrice": "0.5"}
"""An order so far from the price that it rests until it is cancelled."""


Call = Literal["poll", "trade"]
Connection = Literal["kept", "new"]
CALLS: tuple[Call, ...] = ("poll", "trade")
CONNECTIONS: tuple[Connection, ...] = ("kept", "new")


class Kind(Struct, frozen=True, kw_only=True):
    """What is called: a poll (orders and positions in turn) or a trading call (placing an order, cancelling it)."""

    call: Call
    connection: Connection

    @property
    def title(self) -> str:
        """For people."""
        what = {"poll": "poll", "trade": "trading call"}[self.call]
        return f"{what}, {'kept connection' if self.connection == 'kept' else 'new connection'}"


KINDS = tuple(Kind(call=call, connection=connection) for connection in CONNECTIONS for call in CALLS)


class Page:
    """Calls the broker from one seat. Blocks."""

    def __init__(self, seat: Seat) -> None:
        self._line = Line(seat)
        self._path = f"/accounts/{seat.account}"
        self._order: str | None = None
        self._polls = itertools.cycle(("orders", "positions"))

    def times(self, kind: Kind, calls: int) -> Sequence[float]:
        """Do so many calls; milliseconds that each took, with its connection where that is new. Raises OSError."""
        found = []
        for _ in range(calls):
            if kind.connection == "new":
                self.close()
            began = time.perf_counter()
            self._call(kind)
            found.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE_S)
        return found

    def close(self) -> None:
        """Hang up."""
        self._line.hang_up()

    def _call(self, kind: Kind) -> None:
        if kind.call == "poll":
            self._line.call("GET", f"{self._path}/{next(self._polls)}", {}, None)
        elif self._order is None:
            placed = self._line.call("POST", f"{self._path}/orders", {"requestId": request_id()}, RESTING)
            self._order = str(placed["orderId"])
        else:
            order, self._order = self._order, None
            self._line.call("DELETE", f"{self._path}/orders/{order}", {}, None)
