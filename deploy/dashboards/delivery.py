"""Delivery: does every fact reach every account and the archive, or does one wait, come again, or lie buried?"""

from deploy.dashboards.panels import Board, Panel, Query

BOARD = Board(
    uid="tradecopier-delivery",
    title="Delivery",
    description="The streams between the services: lag, what waits, what came again, what was given up.",
    panels=(
        Panel(
            title="Lag",
            description="Entries that a group has not read yet. A gap in the line: the server cannot tell (no number).",
            queries=(Query("max by (stream, group) (tradecopier_group_lag{<namespace>})", "{{stream}} {{group}}"),),
            empty="no executor is seen",
        ),
        Panel(
            title="Age of the oldest entry in work",
            description="How long the oldest entry that was read waits for its end. Above 5 s something holds it up.",
            unit="s",
            queries=(
                Query(
                    "max by (stream, group) (tradecopier_group_oldest_pending_seconds{<namespace>})",
                    "{{stream}} {{group}}",
                ),
            ),
            limits=((5.0, "red"),),
            empty="no executor is seen",
        ),
        Panel(
            title="Entries in work",
            description="Read and not acknowledged yet.",
            queries=(Query("max by (stream, group) (tradecopier_group_pending{<namespace>})", "{{stream}} {{group}}"),),
            empty="no executor is seen",
        ),
        Panel(
            title="Unfinished",
            description="Facts of which nobody knows the end (unresolved), and exits still to be done (owed).",
            queries=(Query("tradecopier_unfinished_facts{<account>}", "{{account}} {{state}}"),),
            limits=((1.0, "red"),),
        ),
        Panel(
            title="Age of the oldest unfinished fact",
            description="Above 30 s an unresolved one needs a look; an owed one needs it at once.",
            unit="s",
            queries=(Query("tradecopier_unfinished_oldest_seconds{<account>}", "{{account}} {{state}}"),),
            limits=((30.0, "red"),),
        ),
        Panel(
            title="Dead letters",
            description="Entries that could not be followed or stored. Any is worth a look.",
            kind="stat",
            queries=(
                Query('max(tradecopier_stream_entries{<namespace>,stream="dead"})', "in the stream"),
                Query("sum(increase(tradecopier_dead_letters_made_total{<account>}[1d]))", "by lanes, last day"),
                Query(
                    "sum(increase(tradecopier_archive_dead_letters_total{<namespace>}[1d]))", "by the archive, last day"
                ),
            ),
            limits=((1.0, "red"),),
            empty="none",
        ),
        Panel(
            title="Redeliveries and takeovers",
            description="Entries that were delivered once more, and times that a lane began, per hour.",
            queries=(
                Query(
                    "sum by (account) (increase(tradecopier_redeliveries_total{<account>}[1h]))", "{{account}} again"
                ),
                Query("sum by (account) (increase(tradecopier_lane_begun_total{<account>}[1h]))", "{{account}} begun"),
            ),
        ),
        Panel(
            title="Outbox",
            description="Facts on disk that are not in the stream, and records that a full disk keeps in memory.",
            queries=(
                Query("sum by (source) (tradecopier_ingest_waiting_facts{<source>})", "{{source}} waiting"),
                Query("sum(tradecopier_ingest_unwritten_records{<namespace>})", "unwritten"),
            ),
            limits=((1.0, "red"),),
        ),
        Panel(
            title="The source's publisher",
            description="Times that the stream had lost facts, that the outbox was out of step, and facts overtaken.",
            queries=(
                Query(
                    "sum by (source) (increase(tradecopier_ingest_rewinds_total{<source>}[1h]))", "{{source}} rewound"
                ),
                Query(
                    "sum by (source, reason) (increase(tradecopier_ingest_new_producers_total{<source>}[1h]))",
                    "{{source}} {{reason}}",
                ),
                Query(
                    "sum by (source) (increase(tradecopier_ingest_overtaken_facts_total{<source>}[1h]))",
                    "{{source}} overtaken",
                ),
            ),
        ),
        Panel(
            title="Seen and not a fact",
            description="Traffic of the source by class; `unknown` and `malformed` mean that the protocol has changed.",
            queries=(
                Query(
                    "sum by (note) (increase(tradecopier_ingest_notes_total{<source>}[$__rate_interval])) > 0",
                    "{{note}}",
                ),
            ),
            width=16,
        ),
        Panel(
            title="Unknown traffic",
            description="Traffic that matches no known endpoint, by class of its path, since ingest began.",
            queries=(
                Query(
                    # A class is not known before it is seen, so its first time is no increase that could be asked for.
                    "sum by (source, path) (tradecopier_ingest_unknown_traffic_total{<source>}) > 0",
                    "{{source}} {{path}}",
                ),
            ),
            empty="none",
        ),
        Panel(
            title="Surprises inside the tap",
            description="Exceptions while capturing; each is in ingest's log.",
            queries=(
                Query("sum by (hook) (increase(tradecopier_ingest_hook_failures_total{<namespace>}[1h]))", "{{hook}}"),
            ),
            limits=((1.0, "red"),),
            empty="none",
        ),
        Panel(
            title="Not told",
            description="Trades that came and went while nobody looked. `ingest untold` lists them.",
            kind="stat",
            queries=(Query("sum by (source) (tradecopier_ingest_untold{<source>})", "{{source}}"),),
            limits=((1.0, "yellow"),),
            empty="no ingest is seen",
        ),
    ),
)
