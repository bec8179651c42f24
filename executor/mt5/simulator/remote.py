"""An operator's hand on a simulated terminal: prices, rules, switches, faults and trades by hand, over the socket.

For the demo, for tests and for anyone who drives a simulator from a script; a trader's client never needs it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from executor.mt5.codes import LastError
from executor.mt5.simulator import tuples
from executor.mt5.simulator.admin import PREFIX
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.faults import Fault
from executor.mt5.simulator.surface import Link

Exact = Decimal | str | int


class Remote:
    """Commands for the simulator at `address` ("127.0.0.1:PORT"), each done when it returns.

    Raises ValueError for what the simulator does not understand, LinkFailed when it is gone.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    def at(cls, address: str) -> Remote:
        return cls(connect(address))

    def close(self) -> None:
        self._link.close()

    def price(self, symbol: str, bid: Exact, ask: Exact) -> None:
        """Pin a price until it is set again; triggers act on it at once. Zeros: nobody quotes the symbol."""
        self._tell("price", symbol=symbol, bid=str(bid), ask=str(ask))

    def release_price(self, symbol: str) -> None:
        """Let the feed quote the symbol again."""
        self._tell("price", symbol=symbol)

    def fault(self, fault: Fault) -> None:
        self._tell("fault", **msgspec.structs.asdict(fault))

    def clear_faults(self) -> None:
        self._tell("clear")

    def symbol(self, name: str, **rules: Any) -> None:
        """Change rules of a symbol (fields of `market.Symbol`); `like=NAME` makes a new one from another."""
        self._tell("symbol", name=name, **_exact(rules))

    def account(self, **rules: Any) -> None:
        """Change rules of the account (fields of `store.Account`)."""
        self._tell("account", **_exact(rules))

    def settings(self, **switches: Any) -> None:
        """Change switches of terminal and server (fields of `store.Settings`), such as `algo_trading=False`."""
        self._tell("settings", **_exact(switches))

    def deposit(self, amount: Exact, comment: str = "", kind: str = "balance") -> int:
        """Pay in, or out when negative; answers the ticket of the deal.

        `kind`: balance, credit, charge, correction, bonus or commission, as the vendor calls such deals.
        """
        ticket: int = self._tell("deposit", amount=str(amount), comment=comment, kind=kind)
        return ticket

    def withdraw(self, amount: Exact, comment: str = "") -> int:
        """Pay out; answers the ticket of the deal."""
        return self.deposit(-Decimal(str(amount)), comment)

    def trade(self, **request: Any) -> Any:
        """Send a request as a person at the terminal would; answers like `order_send`, without the echo."""
        row = self._tell("trade", **request)
        names = tuples.OrderSendResult.__match_args__
        return dict(zip(names, row, strict=False))

    def _tell(self, command: str, **arguments: Any) -> Any:
        reply = self._link.call(PREFIX + command, arguments)
        if reply.code != LastError.S_OK:
            raise ValueError(f"{command}: {reply.value}")
        return reply.value


def _exact(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in fields.items()}
