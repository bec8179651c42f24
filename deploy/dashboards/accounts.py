"""Accounts: money, positions, how much of each limit is used, what was refused and why, and the terminal behind it."""

from deploy.dashboards.panels import Board, Panel, Query

ON_OFF = {0.0: "off", 1.0: "on"}

BOARD = Board(
    uid="tradecopier-accounts",
    title="Accounts",
    description="Each MetaTrader 5 account as its executor sees it.",
    panels=(
        Panel(
            title="Equity",
            description="Balance and open profit, in the account's currency.",
            queries=(Query("max by (account) (tradecopier_account_equity{<account>})", "{{account}}"),),
        ),
        Panel(
            title="Balance and free margin",
            description="In the account's currency.",
            queries=(
                Query("max by (account) (tradecopier_account_balance{<account>})", "{{account}} balance"),
                Query("max by (account) (tradecopier_account_margin_free{<account>})", "{{account}} free margin"),
            ),
        ),
        Panel(
            title="Positions and lots",
            description="What the account holds, ours or not.",
            queries=(
                Query("max by (account) (tradecopier_account_positions{<account>})", "{{account}} positions"),
                Query("max by (account) (tradecopier_account_lots{<account>})", "{{account}} lots"),
            ),
        ),
        Panel(
            title="Limits used",
            description="1 is the limit: then openings stop, and a limit on losses does what `on-breach` says.",
            kind="bargauge",
            unit="percentunit",
            queries=(
                Query("max by (account, limit) (tradecopier_limit_used_ratio{<account>})", "{{account}} {{limit}}"),
            ),
            limits=((0.8, "yellow"), (1.0, "red")),
        ),
        Panel(
            title="Denials",
            description="Openings and facts that we refused in the last hour, by reason.",
            queries=(
                Query(
                    "sum by (account, reason) (increase(tradecopier_denials_total{<account>}[1h])) > 0",
                    "{{account}} {{reason}}",
                ),
            ),
            empty="none",
        ),
        Panel(
            title="MetaTrader 5's answers",
            description="Retcodes of the last hour; 10009 is done.",
            queries=(
                Query(
                    "sum by (account, retcode) (increase(tradecopier_retcodes_total{<account>}[1h])) > 0",
                    "{{account}} {{retcode}}",
                ),
            ),
            empty="none",
        ),
        Panel(
            title="Terminal",
            description="Whether it is linked to its broker, and whether trading by program is switched on.",
            kind="stat",
            queries=(
                Query("max by (account) (tradecopier_terminal_connected{<account>})", "{{account}} link"),
                Query("max by (account) (tradecopier_terminal_algo_trading{<account>})", "{{account}} algo trading"),
            ),
            names=ON_OFF,
            empty="no executor is seen",
        ),
        Panel(
            title="Ping to the broker",
            description="The terminal's last one.",
            unit="s",
            queries=(Query("max by (account) (tradecopier_terminal_ping_seconds{<account>})", "{{account}}"),),
            empty="no terminal is seen",
        ),
        Panel(
            title="Guards tripped, stops trailed",
            description="Times that a limit on losses was passed, and levels moved by trailing stops, in an hour.",
            queries=(
                Query(
                    "sum by (account, limit) (increase(tradecopier_guard_breaches_total{<account>}[1h]))",
                    "{{account}} {{limit}}",
                ),
                Query(
                    "sum by (account) (increase(tradecopier_trailing_updates_total{<account>}[1h]))",
                    "{{account}} trailed",
                ),
            ),
        ),
    ),
)
