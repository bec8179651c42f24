"""Overview: is it copying, when was the last trade copied, in which state is each account, and does anything differ?"""

from deploy.dashboards.panels import Board, Panel, Query

NONE_RED = ((1.0, "red"),)

BOARD = Board(
    uid="tradecopier-overview",
    title="Overview",
    description="Is everything copied? Green everywhere means yes.",
    panels=(
        Panel(
            title="Lanes at work",
            description="Accounts that an executor follows now; `nobody` means that nothing is copied to it.",
            kind="stat",
            queries=(
                Query(
                    'max by (account) (tradecopier_lane{<account>,condition="active"}) '
                    'unless max by (account) (tradecopier_lane{<account>,condition="removed"}) == 1',
                    "{{account}}",
                ),
            ),
            names={0: "nobody", 1: "following"},
            empty="no executor is seen",
        ),
        Panel(
            title="Age of the last copied trade",
            description="Time since a fact last took effect on the account. It grows while nobody trades.",
            kind="stat",
            unit="s",
            queries=(Query("tradecopier:last_trade:age_seconds{<account>}", "{{account}}"),),
            empty="nothing was copied since the executor started",
        ),
        Panel(
            title="Not as it should be",
            description="Facts unresolved or owed, positions that differ, dead letters, facts waiting on disk.",
            kind="stat",
            queries=(
                Query("sum by (state) (tradecopier_unfinished_facts{<account>})", "{{state}}"),
                Query("sum(tradecopier_drift_positions{<account>})", "drift"),
                Query('max(tradecopier_stream_entries{<namespace>,stream="dead"})', "dead letters"),
                Query("sum(tradecopier_ingest_waiting_facts{<source>})", "on disk"),
            ),
            limits=NONE_RED,
            empty="no service is seen",
        ),
        Panel(
            title="Facts captured",
            description="What happened at TradingView, by kind, per minute.",
            queries=(
                Query(
                    "60 * sum by (kind) (rate(tradecopier_ingest_facts_total{<source>}[$__rate_interval]))", "{{kind}}"
                ),
            ),
            width=12,
        ),
        Panel(
            title="What became of them",
            description="Ends of facts on the accounts, by result, per minute.",
            queries=(
                Query(
                    "60 * sum by (account, result) (tradecopier:outcomes:rate5m{<account>})", "{{account}} {{result}}"
                ),
            ),
            width=12,
        ),
        Panel(
            title="State of each account",
            description="active follows; close-only opens nothing; halted sends nothing at all; shadow only computes.",
            kind="table",
            queries=(
                Query("max by (account, state) (tradecopier_trading_state{<account>}) == 1", "{{account}} {{state}}"),
            ),
            empty="no executor is seen",
        ),
        Panel(
            title="Age of the source's last good poll",
            description="TradingView asks for its account every few seconds while it is open. Above 30 s we are blind.",
            unit="s",
            queries=(Query("max by (source) (tradecopier_ingest_poll_age_seconds{<source>})", "{{source}}"),),
            limits=((30.0, "red"),),
            empty="TradingView has not been seen",
        ),
        Panel(
            title="Drift",
            description="Positions on which the account and the source disagree.",
            queries=(Query("max by (account) (tradecopier_drift_positions{<account>})", "{{account}}"),),
            limits=NONE_RED,
            empty="no executor is seen",
        ),
        Panel(
            title="Age of the oldest drift",
            description="How long the account and the source have disagreed. Above a minute it is no passing thing.",
            unit="s",
            queries=(Query("max by (account) (tradecopier_drift_oldest_seconds{<account>})", "{{account}}"),),
            limits=((60.0, "red"),),
            empty="no executor is seen",
        ),
    ),
)
