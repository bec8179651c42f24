"""Journal: the trades themselves, from PostgreSQL, by a role that can only read."""

from deploy.dashboards.panels import Board, Panel, Query

_WHERE = "where $__timeFilter({at}) and account ~ '^(${{account:pipe}})$'"


def rows(columns: str, view: str, at: str, order: str) -> Query:
    """The newest rows of a view in the time that the board shows."""
    return Query(f"select {columns} from {view} {_WHERE.format(at=at)} order by {order} desc limit 500")  # noqa: S608  of our own words


BOARD = Board(
    uid="tradecopier-journal",
    title="Journal",
    description="What was traded, refused and left open, from the archive.",
    panels=(
        Panel(
            title="Trades",
            description="One row per trade and account: lots, prices, slippage in price units, net profit.",
            kind="table",
            source="postgres",
            width=24,
            height=12,
            queries=(
                rows(
                    "captured, account, instrument, side, state, lots, source_price, price_opened, price_closed, "
                    "slippage, net",
                    "trades",
                    "captured",
                    "captured",
                ),
            ),
            empty="no trades in this time",
        ),
        Panel(
            title="Refused, and why",
            description="What was not followed: by us (denied), by the broker (rejected), or given up (dead).",
            kind="table",
            source="postgres",
            width=12,
            queries=(rows("captured, account, instrument, result, reason, text", "denials", "captured", "captured"),),
            empty="nothing was refused in this time",
        ),
        Panel(
            title="Unfinished",
            description="Facts whose end is not known, and exits that are owed.",
            kind="table",
            source="postgres",
            width=12,
            queries=(rows("since, account, instrument, state, reason, text", "unfinished", "since", "since"),),
            empty="everything has its end",
        ),
        Panel(
            title="Deals",
            description="Every deal in the terminals' histories, also those by hand and by levels.",
            kind="table",
            source="postgres",
            width=12,
            queries=(
                rows(
                    "seen, account, deal, symbol, side, direction, volume, price, profit, swap, commission, reason",
                    "deals",
                    "seen",
                    "seen",
                ),
            ),
            empty="no deals in this time",
        ),
        Panel(
            title="Notices and drift",
            description="What an operator had to know, and positions on which account and source disagreed.",
            kind="table",
            source="postgres",
            width=12,
            queries=(
                rows("seen, account, reason, text", "notices", "seen", "seen"),
                rows("seen, account, symbol, expected, actual, text", "drift", "seen", "seen"),
            ),
            empty="nothing in this time",
        ),
    ),
)
