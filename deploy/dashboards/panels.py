"""Pure: panels and boards as plain values, and Grafana's JSON of them.

A query names its filter in short: `<account>`, `<source>` and `<namespace>` stand for the label matchers of the board's
variables. What a panel shows while there is nothing to show is said in its own words, so that an empty panel is never
mistaken for a broken one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["timeseries", "stat", "heatmap", "table", "bargauge"]
Source = Literal["prometheus", "postgres"]

SCHEMA_VERSION = 39
COLUMNS = 24
MATCHERS = {
    "<account>": 'namespace=~"$namespace",account=~"$account"',
    "<source>": 'namespace=~"$namespace",source=~"$source"',
    "<namespace>": 'namespace=~"$namespace"',
}
DATASOURCES: Mapping[Source, Mapping[str, str]] = {
    "prometheus": {"type": "prometheus", "uid": "tradecopier-prometheus"},
    "postgres": {"type": "grafana-postgresql-datasource", "uid": "tradecopier-postgres"},
}
ALL = {"selected": True, "text": "All", "value": "$__all"}
LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
"""Of what was asked for once, the value."""


class Query(Struct, frozen=True):
    """A PromQL expression or an SQL text, and what its series are called."""

    text: str
    legend: str = ""


class Panel(Struct, frozen=True, kw_only=True):
    """One panel. `unit` is Grafana's name of it; `limits` are (from, colour) steps above a green base.

    `names` are words for values; of a 0 that has one, something is missing, and it is red.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Kind = "timeseries"
    source: Source = "prometheus"
    width: int = 8
    height: int = 8
    limits: Sequence[tuple[float, str]] = ()
    empty: str = "nothing yet"
    names: Mapping[float, str] = {}


class Board(Struct, frozen=True, kw_only=True):
    """A dashboard under a uid that never changes."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]


def expanded(text: str) -> str:
    """A query with its matchers written out."""
    for short, matchers in MATCHERS.items():
        text = text.replace(short, matchers)
    return text


def dashboard(board: Board) -> dict[str, Any]:
    """Grafana's JSON of a board."""
    return {
        "uid": board.uid,
        "title": f"TradeCopier: {board.title}",
        "description": board.description,
        "tags": ["tradecopier"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables()},
        "links": [{"type": "dashboards", "tags": ["tradecopier"], "title": "TradeCopier", "asDropdown": True}],
        "annotations": {"list": []},
        "panels": _placed(board.panels),
    }


def variables() -> list[dict[str, Any]]:
    """Namespace, source and account, each with everything chosen at first."""
    return [
        _variable("namespace", "label_values(tradecopier_build_info, namespace)"),
        _variable("source", 'label_values(tradecopier_ingest_owned{namespace=~"$namespace"}, source)'),
        _variable("account", 'label_values(tradecopier_lane{namespace=~"$namespace"}, account)'),
    ]


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCES["prometheus"],
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": ALL,
        "sort": 1,
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """Panels from left to right, a new row where one does not fit any more."""
    found, x, y, tallest = [], 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        found.append({**_panel(panel, number), "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}})
        x, tallest = x + panel.width, max(tallest, panel.height)
    return found


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    steps = [{"color": "green", "value": None}, *({"color": colour, "value": at} for at, colour in panel.limits)]
    mapped = {f"{value:g}": {"text": text, "color": _colour(value)} for value, text in panel.names.items()}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCES[panel.source],
        "targets": [_target(panel, query, index) for index, query in enumerate(panel.queries)],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "noValue": panel.empty,
                "thresholds": {"mode": "absolute", "steps": steps},
                "mappings": [{"type": "value", "options": mapped}] if mapped else [],
                **_drawn(panel),
            },
            "overrides": [],
        },
        "options": _options(panel),
    }


def _colour(value: float) -> str:
    return "green" if value else "red"


def _drawn(panel: Panel) -> dict[str, Any]:
    """Limits of lines over time are only seen when they are drawn."""
    return {"custom": {"thresholdsStyle": {"mode": "dashed"}}} if panel.kind == "timeseries" and panel.limits else {}


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "heatmap":
            return {"calculate": False, "yAxis": {"unit": panel.unit}, "color": {"scheme": "Oranges", "mode": "scheme"}}
        case "stat":
            return {"reduceOptions": LAST, "colorMode": "background"}
        case "bargauge":
            return {"reduceOptions": LAST, "displayMode": "basic", "orientation": "horizontal"}
        case "timeseries":
            return {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}}
        case "table":
            return {"showHeader": True}


def _target(panel: Panel, query: Query, index: int) -> dict[str, Any]:
    common = {"refId": chr(ord("A") + index), "datasource": DATASOURCES[panel.source]}
    if panel.source == "postgres":
        return {**common, "rawSql": query.text, "rawQuery": True, "format": "table", "editorMode": "code"}
    form = "heatmap" if panel.kind == "heatmap" else "table" if panel.kind == "table" else "time_series"
    instant = panel.kind in ("stat", "bargauge", "table")
    asked = {"expr": expanded(query.text), "legendFormat": query.legend or "__auto", "format": form}
    return {**common, **asked, "instant": instant, "range": not instant}
