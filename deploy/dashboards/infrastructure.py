"""Infrastructure: the services and servers themselves."""

from deploy.dashboards.panels import Board, Panel, Query

BOARD = Board(
    uid="tradecopier-infrastructure",
    title="Infrastructure",
    description="Processes, Redis and the archive.",
    panels=(
        Panel(
            title="Services",
            description="Whether Prometheus reaches each service.",
            kind="stat",
            queries=(Query('up{job="tradecopier",<namespace>}', "{{service}}"),),
            names={0: "gone", 1: "there"},
            empty="Prometheus knows no service: has `tradecopier up` run with `metrics` set?",
        ),
        Panel(
            title="Version",
            description="What runs.",
            kind="table",
            queries=(Query("tradecopier_build_info{<namespace>}", "{{service}} {{version}}"),),
        ),
        Panel(
            title="Redis reachable",
            description="Whether Redis answers the executor and takes ingest's facts.",
            kind="stat",
            queries=(
                Query("min(tradecopier_redis_up{<namespace>})", "executor"),
                Query("min by (source) (tradecopier_ingest_redis_up{<source>})", "{{source}}"),
            ),
            names={0: "away", 1: "there"},
            empty="no service is seen",
        ),
        Panel(
            title="Processor",
            description="Cores that each service uses.",
            queries=(
                Query(
                    'rate(process_cpu_seconds_total{job="tradecopier",<namespace>}[$__rate_interval])', "{{service}}"
                ),
            ),
        ),
        Panel(
            title="Memory",
            description="Resident memory of each service.",
            unit="bytes",
            queries=(Query('process_resident_memory_bytes{job="tradecopier",<namespace>}', "{{service}}"),),
        ),
        Panel(
            title="Open files",
            description="How many of the files that a service may open are open.",
            unit="percentunit",
            queries=(
                Query(
                    'process_open_fds{job="tradecopier",<namespace>} / process_max_fds{job="tradecopier",<namespace>}',
                    "{{service}}",
                ),
            ),
            limits=((0.8, "red"),),
        ),
        Panel(
            title="Redis memory",
            description="How much of what Redis may use is used. When full, facts wait on disk.",
            unit="percentunit",
            queries=(
                Query(
                    "max(tradecopier_redis_memory_used_bytes{<namespace>}) / "
                    "max(tradecopier_redis_memory_limit_bytes{<namespace>})",
                    "used",
                ),
            ),
            limits=((0.8, "red"),),
        ),
        Panel(
            title="Room in Redis",
            description="Days until Redis is full if nothing were trimmed any more.",
            unit="d",
            kind="stat",
            queries=(Query("min(tradecopier_archive_headroom_days{<namespace>})", "days"),),
            empty="no facts, so nothing grows",
        ),
        Panel(
            title="Memory per fact",
            description="What one fact takes in Redis, with its outcomes on all accounts.",
            unit="bytes",
            kind="stat",
            queries=(Query("max(tradecopier_archive_bytes_per_fact{<namespace>})", "per fact"),),
            empty="no facts yet",
        ),
        Panel(
            title="Age of the last stored batch",
            description="Grows while nothing happens; beside a lag it says that the archive stands still.",
            unit="s",
            queries=(
                Query(
                    "time() - max by (stream) (tradecopier_archive_last_success_timestamp_seconds{<namespace>} > 0)",
                    "{{stream}}",
                ),
            ),
            empty="nothing was stored since the archiver started",
        ),
        Panel(
            title="Owner of the source",
            description="Whether an ingest owns the source; only that one reads its traffic.",
            kind="stat",
            queries=(Query("max by (source) (tradecopier_ingest_owned{<source>})", "{{source}}"),),
            names={0: "nobody", 1: "owned"},
            empty="no ingest is seen",
        ),
        Panel(
            title="Streams",
            description="Entries in each stream. They leave when all groups have passed them, after the retention.",
            queries=(Query("max by (stream) (tradecopier_stream_entries{<namespace>})", "{{stream}}"),),
        ),
        Panel(
            title="Archive",
            description="Age of rows when they are stored, and PostgreSQL's time for a batch (p99).",
            unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.99, sum by (le, stream) "
                    "(rate(tradecopier_archive_age_seconds_bucket{<namespace>}[$__rate_interval])))",
                    "{{stream}} age",
                ),
                Query(
                    "histogram_quantile(0.99, sum by (le, stream) "
                    "(rate(tradecopier_archive_save_seconds_bucket{<namespace>}[$__rate_interval])))",
                    "{{stream}} batch",
                ),
            ),
        ),
        Panel(
            title="Rows stored",
            description="Per minute, and the mean size of a batch.",
            queries=(
                Query(
                    "60 * sum by (stream) (rate(tradecopier_archive_rows_total{<namespace>}[$__rate_interval]))",
                    "{{stream}}",
                ),
                Query(
                    "sum by (stream) (rate(tradecopier_archive_batch_rows_sum{<namespace>}[$__rate_interval])) / "
                    "sum by (stream) (rate(tradecopier_archive_batch_rows_count{<namespace>}[$__rate_interval]))",
                    "{{stream}} per batch",
                ),
            ),
        ),
        Panel(
            title="Archiving",
            description="Whether each stream is archived; groups that keep entries too long; entries held.",
            queries=(
                Query("min by (stream) (tradecopier_archive_up{<namespace>})", "{{stream}} archived"),
                Query(
                    "max by (stream, group) (tradecopier_archive_trim_held{<namespace>})",
                    "{{stream}} held by {{group}}",
                ),
                Query(
                    "max by (stream) (tradecopier_archive_held_entries{<namespace>})", "{{stream}} waiting for a key"
                ),
                Query("max by (account) (tradecopier_archive_detached{<account>})", "{{account}} detached"),
            ),
        ),
        Panel(
            title="What the metrics cost",
            description="Share of a lane's own time for a trade (decide, terminal, commit) that counting takes.",
            unit="percentunit",
            queries=(
                Query(
                    "sum(rate(tradecopier_metering_seconds_total{<account>}[$__rate_interval])) / "
                    'sum(rate(tradecopier_stage_seconds_sum{<account>,stage=~"decide|terminal|commit"}[$__rate_interval]))',
                    "share",
                ),
            ),
            limits=((0.05, "red"),),
        ),
    ),
)
