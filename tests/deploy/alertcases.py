"""For each alert a situation in which it fires and one, close to it, in which it must not.

A situation is a set of series in promtool's notation, one sample every five seconds, and when to look.
"""

from collections.abc import Mapping

from msgspec import Struct

N = 'namespace="main"'
A = f'{N},account="a"'


class Situation(Struct, frozen=True):
    """Series and the time at which the alert is looked for."""

    series: Mapping[str, str]
    at: str = "10m"


class Case(Struct, frozen=True):
    """When an alert fires, and when it does not."""

    fires: Situation
    silent: Situation
    fires_too: tuple[Situation, ...] = ()
    silent_too: tuple[Situation, ...] = ()


def lane(value: int) -> dict[str, str]:
    return {f'tradecopier_lane{{{A},condition="active"}}': f"{value}x400"}


def shadow(value: int) -> dict[str, str]:
    return {f'tradecopier_trading_state{{{A},state="shadow"}}': f"{value}x400"}


def follows(source: str) -> dict[str, str]:
    return {f'tradecopier_follows{{{A},source="{source}"}}': "1x400"}


def slow(account: str, whole: str, quick: str) -> dict[str, str]:
    labels = f'{N},account="{account}",stage="end_to_end"'
    return {
        f"tradecopier_stage_seconds_count{{{labels}}}": whole,
        f'tradecopier_stage_seconds_bucket{{{labels},le="1.0"}}': quick,
    }


def one(series: str, fires: str, silent: str, at: str = "10m") -> Case:
    """A case of a single series."""
    return Case(Situation({series: fires}, at), Situation({series: silent}, at))


REMOVED = {f'tradecopier_lane{{{A},condition="removed"}}': "1x400"}
CAPTURED = {f'tradecopier_ingest_facts_total{{{N},source="s",kind="order.placed"}}': "0+1x400"}
OUTCOMES = f'tradecopier_outcomes_total{{{A},result="filled"}}'
CONNECTED, ALGO = f"tradecopier_terminal_connected{{{A}}}", f"tradecopier_terminal_algo_trading{{{A}}}"
LAG = f'tradecopier_group_lag{{{N},stream="orders",group="archiver"}}'
USED, LIMIT = f"tradecopier_redis_memory_used_bytes{{{N}}}", f"tradecopier_redis_memory_limit_bytes{{{N}}}"
UNWRITTEN = f"tradecopier_ingest_unwritten_records{{{N}}}"
UNJOURNALED = f'tradecopier_ingest_unjournaled_calls_total{{{N},hook="request"}}'
NOTES = f'tradecopier_ingest_notes_total{{{N},source="s",note="NOTE"}}'

CASES: Mapping[str, Case] = {
    "NothingCopied": Case(
        Situation({**CAPTURED, **follows("s"), OUTCOMES: "7x400"}),
        Situation({**CAPTURED, **follows("s"), OUTCOMES: "0+1x400"}),
        silent_too=(
            Situation({**CAPTURED, **follows("another"), OUTCOMES: "7x400"}),
            Situation({**CAPTURED, **follows("s"), **REMOVED, OUTCOMES: "7x400"}),
        ),
    ),
    "SourceBlind": one(f'tradecopier_ingest_blind{{{N},source="s"}}', "1x400", "0x400"),
    "HeldBack": one(f'tradecopier_ingest_held_back{{{N},source="s"}}', "1x400", "0x400"),
    "Unresolved": one(f'tradecopier_unfinished_oldest_seconds{{{A},state="unresolved"}}', "31x400", "29x400"),
    "Owed": one(f'tradecopier_unfinished_facts{{{A},state="owed"}}', "1x400", "0x400"),
    "DeadLetters": one(f'tradecopier_stream_entries{{{N},stream="dead"}}', "1x400", "0x400"),
    "Drift": one(f"tradecopier_drift_oldest_seconds{{{A}}}", "61x400", "59x400"),
    "OldestPending": one(
        f'tradecopier_group_oldest_pending_seconds{{{N},stream="orders",group="a"}}', "6x400", "4x400"
    ),
    "OutboxWaiting": one(f'tradecopier_ingest_waiting_facts{{{N},source="s"}}', "3x400", "0x118 3 3x100"),
    "OutboxUnwritten": Case(
        Situation({UNWRITTEN: "1x400", UNJOURNALED: "7x400"}),
        Situation({UNWRITTEN: "0x400", UNJOURNALED: "7x400"}),
        fires_too=(Situation({UNWRITTEN: "0x400", UNJOURNALED: "0x100 1x300"}),),
    ),
    "LaneGone": Case(
        Situation({f'tradecopier_lane{{{A},condition="active",instance="x"}}': "0x400"}),
        Situation(
            {
                f'tradecopier_lane{{{A},condition="active",instance="x"}}': "0x400",
                f'tradecopier_lane{{{A},condition="active",instance="y"}}': "1x400",
            }
        ),
        silent_too=(Situation({**lane(0), **REMOVED}),),
    ),
    "TerminalDisconnected": Case(
        Situation({**lane(1), CONNECTED: "0x400"}), Situation({**lane(0), CONNECTED: "0x400"})
    ),
    "AlgoTradingOff": Case(
        Situation({**lane(1), **shadow(0), ALGO: "0x400"}),
        Situation({**lane(1), **shadow(0), ALGO: "1x400"}),
        silent_too=(Situation({**lane(1), **shadow(1), ALGO: "0x400"}),),
    ),
    "GuardTripped": one(f'tradecopier_guard_breaches_total{{{A},limit="daily-loss"}}', "0x100 1x300", "1x400"),
    "Halted": one(f'tradecopier_trading_state{{{A},state="halted"}}', "1x400", "0x400"),
    "ArchiveBehind": one(LAG, "1001x400", "999x400"),
    "LagUnknown": one(LAG, "NaN " * 130, "0x400"),
    "RedisAway": one(f"tradecopier_redis_up{{{N}}}", "0x400", "1x400"),
    "RedisMemory": Case(Situation({USED: "81x400", LIMIT: "100x400"}), Situation({USED: "79x400", LIMIT: "100x400"})),
    "TrimHeld": one(f'tradecopier_archive_trim_held{{{N},stream="orders",group="a"}}', "1x400", "0x400", "15m"),
    "Detached": one(f"tradecopier_archive_detached{{{A}}}", "1x400", "0x400"),
    "ServiceGone": one(f'up{{job="tradecopier",{N},service="ingest"}}', "0x400", "1x400"),
    "TapFailures": one(f'tradecopier_ingest_hook_failures_total{{{N},hook="request"}}', "0x100 1x300", "1x400"),
    "UnreadableTraffic": Case(
        Situation({NOTES.replace("NOTE", "unanswered"): "0x100 1x300"}),
        Situation({NOTES.replace("NOTE", "ignored"): "0+1x400"}),
    ),
    "Untold": one(f'tradecopier_ingest_untold{{{N},source="s"}}', "2x400", "0x400"),
    "SlowFast": Case(
        Situation(slow("a", "0+1x800", "0+0.5x800"), "30m"),
        Situation(slow("a", "0x350 1+1x5 6x500", "0x900"), "30m"),  # all are slow, but they are only a few
    ),
    "SlowSteady": Case(
        Situation(slow("a", "0+1x5000", "0+0.9x5000"), "6h"), Situation(slow("a", "0+1x5000", "0+0.97x5000"), "6h")
    ),
    "SlowLong": Case(
        Situation(slow("a", "0+1x5000", "0+0.98x5000"), "6h"), Situation(slow("a", "0+1x5000", "0+0.995x5000"), "6h")
    ),
}
