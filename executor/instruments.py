"""Pure: from the source's names, quantities and prices to the broker's, within the bounds that the symbol's rules set.

Sizes are exact until they meet the symbol's step, so that what rounding takes is known and can be carried. A symbol
that is not named is not guessed.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from executor.book import Book, Figures, Price, Specification
from executor.reasons import Denied, Reason
from executor.settings import Sizing, Symbols
from shared.facts import Contract, Side

_NOISE = Decimal("1e-6")
BY_MONEY = frozenset({"equity-ratio", "balance-ratio", "risk-percent"})
"""The modes of sizing that go by what the account has."""

MONEY_UNREADABLE = {"missing": "the money", "symbol": "the account"}
"""Why there is no size when the terminal tells no numbers for equity, balance, credit or free margin."""

DEFAULT_STEP = Decimal("0.01")
"""The usual step of volume, for an exit when the terminal does not tell the symbol's."""


def symbol_of(instrument: str, symbols: Symbols, book: Book) -> str | None:
    """The broker's symbol of a source instrument, or None. Only names that the terminal lists are taken."""
    wanted = wanted_symbol(instrument, symbols)
    return wanted if wanted in book.symbols or wanted in book.specifications else None


def wanted_symbol(instrument: str, symbols: Symbols) -> str:
    """What the settings call a source instrument, whether or not the terminal lists it: something is found under it."""
    named = symbols.map.get(instrument)
    return f"{symbols.prefix}{instrument}{symbols.suffix}" if named is None else named


def signed(side: Side, volume: Decimal) -> Decimal:
    """A volume with its direction: a buy is positive."""
    return volume if side == "buy" else -volume


def side_of(volume: Decimal) -> Side:
    """The side of a signed volume that is not 0."""
    return "buy" if volume > 0 else "sell"


def other(side: Side) -> Side:
    """The side that undoes `side`."""
    return "sell" if side == "buy" else "buy"


def whole_steps(volume: Decimal, specification: Specification | None) -> Decimal:
    """An unsigned volume rounded down to the symbol's step; what a division lost in the last digits is no step less."""
    step = specification.volume_step if specification else DEFAULT_STEP
    return (volume / step + _NOISE).to_integral_value(ROUND_FLOOR) * step


def to_tick(price: Decimal, specification: Specification) -> Decimal:
    """A price rounded to the nearest tick, with the symbol's digits."""
    tick = specification.tick_size
    ticks = (price / tick).to_integral_value(ROUND_HALF_EVEN)
    return (ticks * tick).quantize(Decimal(1).scaleb(-_digits(specification)))


def entry_price(price: Price | None, side: Side) -> Decimal | None:
    """What opening on `side` costs now: a buy pays the ask."""
    if price is None:
        return None
    return price.ask if side == "buy" else price.bid


def is_reached(side: Side, stop: Decimal, price: Price | None) -> bool:
    """Whether a stop would close at once what is opened on `side` now: a buy is closed at the bid."""
    return price is not None and signed(side, (price.bid if side == "buy" else price.ask) - stop) <= 0


def source_lots(quantity: Decimal, contract: Contract | None, specification: Specification) -> Decimal | Denied:
    """The broker's lots of the same amount of the underlying: 100,000 units are one lot where a lot holds 100,000.

    Lots and contracts of a source that does not tell its lot size count as the broker's.
    """
    if contract is None:
        return Denied(Reason.UNIT_UNKNOWN)
    size = Decimal(1) if contract.unit == "units" else contract.lot_size
    if size is None:
        return quantity
    return quantity * size / specification.contract_size


def risked(side: Side, volume: Decimal, entry: Decimal, stop: Decimal, specification: Specification) -> Decimal | None:
    """Account currency lost when `volume` lots entered on `side` at `entry` are stopped at `stop`.

    None when nobody can say: the price is past the stop already, or the terminal does not tell what a tick is worth.
    """
    distance = signed(side, entry - stop)
    if distance <= 0 or not specification.tick_value:
        return None
    return distance / specification.tick_size * specification.tick_value * volume


class Sizer:
    """Sizes openings of one symbol on one side: `lots(quantity)` is exact and unsigned, or the reason why not."""

    def __init__(
        self,
        sizing: Sizing,
        specification: Specification,
        figures: Figures,
        contract: Contract | None,
        *,
        side: Side,
        entry: Decimal | None,
        stop: Decimal | None,
        price: Price | None = None,
    ) -> None:
        """`price` is the present one, for what is opened at once: a stop that it has reached says nothing of a loss."""
        self._sizing = sizing.of(specification.symbol)
        self._specification = specification
        self._figures = figures
        self._contract = contract
        self._side = side
        self._entry = entry
        self._stop = stop
        self._price = price

    def lots(self, quantity: Decimal, whole: Decimal | None = None) -> Decimal | Denied:
        """Lots for `quantity` (unsigned, source's unit), before rounding to the step.

        `whole` is what the same order opens in all, if that is more: where each opening has a size of its own, so much
        of it is answered.
        """
        share = quantity / whole if whole else Decimal(1)
        if self._sizing.mode in BY_MONEY and not self._figures.readable:
            return Denied(Reason.SIZE_UNKNOWN, MONEY_UNREADABLE)
        match self._sizing.mode:
            case "fixed":
                return self._sizing.lots * share
            case "multiplier":
                return self._scaled(quantity, Decimal(1))
            case "equity-ratio":
                return self._scaled(quantity, self._figures.equity)
            case "balance-ratio":
                return self._scaled(quantity, self._figures.balance)
            case "risk-percent":
                return self._by_risk(share)
            case "notional":
                return self._by_value(share)

    def _scaled(self, quantity: Decimal, money: Decimal) -> Decimal | Denied:
        lots = source_lots(quantity, self._contract, self._specification)
        if isinstance(lots, Denied):
            return lots
        reference = self._sizing.reference if self._sizing.mode != "multiplier" else None
        return lots * self._sizing.factor * max(money, Decimal(0)) / (reference or 1)

    def _by_risk(self, share: Decimal) -> Decimal | Denied:
        if self._stop is None:
            return Denied(Reason.NO_STOP_LOSS)
        if self._entry is None:
            return self._unknown("the price")
        loss = risked(self._side, Decimal(1), self._entry, self._stop, self._specification)
        if loss is None or is_reached(self._side, self._stop, self._price):
            return self._unknown("the loss at the stop")
        return max(self._figures.equity, Decimal(0)) * self._sizing.percent / 100 * share / loss

    def _by_value(self, share: Decimal) -> Decimal | Denied:
        rules = self._specification
        if self._entry is None or not rules.tick_value:
            return self._unknown("the price")
        value = self._entry / rules.tick_size * rules.tick_value
        return (self._sizing.amount or Decimal(0)) * share / value

    def _unknown(self, missing: str) -> Denied:
        return Denied(Reason.SIZE_UNKNOWN, {"missing": missing, "symbol": self._specification.symbol})


def orderable(lots: Decimal, specification: Specification, sizing: Sizing, *, first: bool) -> Decimal | Denied:
    """`lots` as one order can have them: whole steps within the symbol's bounds.

    Below the minimum it is denied, or made the minimum when it is the `first` opening and `tiny` says so.
    """
    volume = whole_steps(lots, specification)
    if volume < specification.volume_min:
        if first and lots > 0 and sizing.of(specification.symbol).tiny == "minimum":
            return specification.volume_min
        return Denied(Reason.SIZE_BELOW_MINIMUM, _bounds(lots, specification))
    if volume > specification.volume_max:
        return Denied(Reason.SIZE_ABOVE_MAXIMUM, _bounds(lots, specification))
    return volume


def chunks(volume: Decimal, specification: Specification | None) -> tuple[Decimal, ...]:
    """An exit's volume in orders that the symbol's maximum allows."""
    most = specification.volume_max if specification and specification.volume_max > 0 else volume
    count = int((volume / most).to_integral_value(ROUND_CEILING)) if volume else 0
    return tuple(min(most, volume - most * done) for done in range(count))


def plain(number: Decimal) -> str:
    """A number as a trader writes it: no exponent, no trailing zeros, at most eight digits after the point."""
    text = f"{number:.8f}"
    return text.rstrip("0").rstrip(".")


def _digits(specification: Specification) -> int:
    exponent = specification.tick_size.normalize().as_tuple().exponent
    return max(specification.digits, -exponent if isinstance(exponent, int) else 0)


def _bounds(lots: Decimal, specification: Specification) -> dict[str, str]:
    return {
        "lots": plain(lots),
        "symbol": specification.symbol,
        "minimum": plain(specification.volume_min),
        "maximum": plain(specification.volume_max),
    }
