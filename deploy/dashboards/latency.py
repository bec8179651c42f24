"""Latency: where the time goes between the click and the deal, and what the price had become by then."""

from deploy.dashboards.panels import Board, Panel, Query

STAGES = {
    **dict.fromkeys(("observe", "publish"), ("<source>", "source")),
    **dict.fromkeys(("queue", "decide", "terminal", "commit"), ("<account>", "account")),
    "archive": ("<namespace>", "service"),
}
"""Each with the filter of who shows it, and the label that tells those apart."""
_BUCKETS = "sum by (le{by}) (rate(tradecopier_stage_seconds_bucket{{{where}}}[$__rate_interval]))"


def quantile(q: float, where: str, by: str = "") -> str:
    """The quantile of a stage's time in the window that the board shows."""
    return f"histogram_quantile({q}, {_BUCKETS.format(where=where, by=by)})"


BOARD = Board(
    uid="tradecopier-latency",
    title="Latency",
    description="The way of a trade in stages; docs/metrics.md says where each begins and ends.",
    panels=(
        Panel(
            title="From capture to the commit",
            description="How long a fact took: from the broker's reply having passed until all is written.",
            kind="heatmap",
            unit="s",
            width=16,
            queries=(
                Query(
                    "sum by (le) (increase("
                    'tradecopier_stage_seconds_bucket{<account>,stage="end_to_end"}[$__rate_interval]))',
                    "{{le}}",
                ),
            ),
            empty="nothing was copied in this time",
        ),
        Panel(
            title="From capture to the commit, quantiles",
            description="p50, p95, p99 and p99.9 per account. With few trades a day the high ones are single trades.",
            unit="s",
            queries=tuple(
                Query(quantile(q, '<account>,stage="end_to_end"', ", account"), f"{{{{account}}}} p{q * 100:g}")
                for q in (0.5, 0.95, 0.99, 0.999)
            ),
        ),
        *(
            Panel(
                title=f"Stage: {stage}",
                description=f"Quantiles of the stage `{stage}` per {whose}.",
                unit="s",
                width=6,
                queries=tuple(
                    Query(
                        quantile(q, f'{filtered},stage="{stage}"', f", {whose}"),
                        f"{{{{{whose}}}}} p{q * 100:g}",
                    )
                    for q in (0.5, 0.95, 0.99, 0.999)
                ),
            )
            for stage, (filtered, whose) in STAGES.items()
        ),
        Panel(
            title="Where a trade's time goes",
            description="Mean time of each stage over five minutes, side by side.",
            kind="bargauge",
            unit="s",
            width=6,
            queries=(Query("sum by (stage) (tradecopier:stage_seconds:mean5m{<namespace>})", "{{stage}}"),),
        ),
        Panel(
            title="Slippage",
            description="Points paid more than the price that was asked for; below 0 it was cheaper.",
            unit="short",
            width=8,
            queries=tuple(
                Query(
                    f"histogram_quantile({q}, sum by (le, account) "
                    "(increase(tradecopier_slippage_points_bucket{<account>}[1h])))",
                    f"{{{{account}}}} p{q * 100:g}",
                )
                for q in (0.5, 0.95)
            ),
            empty="nothing was opened in the last hour",
        ),
        Panel(
            title="Opened without the source's price",
            description="Openings in an hour for which the source told no price, and what theirs was compared with "
            "instead: what the account's terminal showed then, or nothing, where only the fact's age counted.",
            unit="short",
            width=8,
            queries=(
                Query(
                    "sum by (account, reference) (increase(tradecopier_openings_unpriced_total{<account>}[1h]))",
                    "{{account}} {{reference}}",
                ),
            ),
        ),
        Panel(
            title="Time that the tap holds up the browser",
            description="p99 of what capturing adds to a request or a reply, and of what is done beside them.",
            unit="s",
            width=8,
            queries=(
                Query(
                    "histogram_quantile(0.99, sum by (le, hook) "
                    "(rate(tradecopier_ingest_hook_seconds_bucket{<namespace>}[$__rate_interval])))",
                    "{{hook}}",
                ),
                Query(
                    "histogram_quantile(0.99, sum by (le) "
                    "(rate(tradecopier_ingest_beside_seconds_bucket{<namespace>}[$__rate_interval])))",
                    "beside",
                ),
            ),
        ),
    ),
)
