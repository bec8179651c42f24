"""The demo's verdict: do the broker's book, each terminal and the archive agree? Pure; `holdings` reads the three."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from deploy.demo.holdings import Archive, Books, Holding, Row, Trade, netted


class Check(Struct, frozen=True):
    """One thing that was compared; `detail` says what was found."""

    name: str
    good: bool
    detail: str


def account_checks(name: str, source: Books, terminal: Books, *, netting: bool) -> list[Check]:
    """Compare one terminal with the source. A netting account shows the net of what the source holds."""
    wanted = netted(source.holdings) if netting else source.holdings
    return [
        _same(f"{name}: open positions", _holdings(wanted), _holdings(terminal.holdings)),
        _same(f"{name}: fills", _trades(source.trades), _trades(terminal.trades)),
        _same(f"{name}: resting orders", str(source.resting), str(terminal.resting)),
    ]


def archive_checks(
    archive: Archive, terminals: Mapping[str, Books], accepted: int, published: Sequence[str]
) -> list[Check]:
    """Compare the archive's rows with what was published, with what the trader did, and with the terminals' deals."""
    called = sum(evidence == "call" for evidence in archive.facts.values())
    checks = [
        _same("archive: facts published", _count(set(published)), _count(set(archive.facts) & set(published))),
        _same("archive: facts for deeds accepted", str(accepted), str(called)),
    ]
    for name, terminal in terminals.items():
        rows = [row for row in archive.outcomes if row.account == name]
        ends = Counter(row.fact for row in rows if row.final)
        once = sum(ends[fact] == 1 for fact in archive.facts)
        checks.append(_same(f"archive: facts with one end on {name}", str(len(archive.facts)), str(once)))
        checks.append(_same(f"archive: deals of {name}", _numbers(terminal.deals), _numbers(_deals(rows))))
        checks.append(_same(f"archive: lots of {name}", _plain(_traded(terminal)), _plain(_told(rows))))
    return checks


def lines(checks: Sequence[Check]) -> list[str]:
    """The verdict for people."""
    width = max(len(check.name) for check in checks)
    return [f"  {'ok  ' if check.good else 'DIFF'}  {check.name:<{width}}  {check.detail}" for check in checks]


def _same(name: str, wanted: str, found: str) -> Check:
    return Check(name, wanted == found, found if wanted == found else f"expected {wanted}; found {found}")


def _holdings(holdings: Sequence[Holding]) -> str:
    return "; ".join(_holding(holding) for holding in sorted(holdings)) or "none"


def _holding(holding: Holding) -> str:
    levels = [f"{word} {_plain(x)}" for word, x in (("sl", holding.stop_loss), ("tp", holding.take_profit)) if x]
    return " ".join([_signed(holding.lots), holding.symbol, *levels])


def _trades(trades: Sequence[Trade]) -> str:
    return ", ".join(f"{_signed(trade.lots)} {trade.symbol}" for trade in trades) or "none"


def _deals(rows: Sequence[Row]) -> list[int]:
    return [deal for row in rows if row.final for deal in row.deals]


def _traded(books: Books) -> Decimal:
    return sum((abs(trade.lots) for trade in books.trades), Decimal(0))


def _told(rows: Sequence[Row]) -> Decimal:
    return sum((row.opened + row.reduced for row in rows if row.final), Decimal(0))


def _numbers(numbers: Sequence[int]) -> str:
    return " ".join(map(str, sorted(numbers))) or "none"


def _count(names: set[str]) -> str:
    return str(len(names))


def _signed(lots: Decimal) -> str:
    return f"{'+' if lots > 0 else ''}{_plain(lots)}"


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")
