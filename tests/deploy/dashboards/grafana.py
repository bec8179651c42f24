"""What Grafana 11 and newer read of a dashboard and of provisioning, as strict structs: an unknown key is an error.

Only what we use is here, so a key that is misspelt, or that Grafana would pass over in silence, fails a test.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Uid = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,40}$")]
Colour = Literal["green", "yellow", "red"]
Unit = Literal["short", "s", "ms", "d", "bytes", "percentunit"]
NAMED = re.compile(r"\$\{?(\w+)(?::\w+)?\}?|\[\[(\w+)\]\]")
BUILT_IN = re.compile(r"^(__\w+|\d+)$")


class Strict(Struct, forbid_unknown_fields=True, rename="camel"):
    """No key but these."""


class Source(Strict):
    type: Literal["prometheus", "grafana-postgresql-datasource"]
    uid: Uid


class PrometheusTarget(Strict):
    ref_id: Annotated[str, Meta(pattern="^[A-Z]$")]
    datasource: Source
    expr: Annotated[str, Meta(min_length=1)]
    legend_format: str
    format: Literal["time_series", "table", "heatmap"]
    instant: bool
    range: bool


class PostgresTarget(Strict):
    ref_id: Annotated[str, Meta(pattern="^[A-Z]$")]
    datasource: Source
    raw_sql: Annotated[str, Meta(min_length=1)]
    raw_query: Literal[True]
    format: Literal["table", "time_series"]
    editor_mode: Literal["code"]


class GridPos(Strict):
    x: Annotated[int, Meta(ge=0, lt=24)]
    y: Annotated[int, Meta(ge=0)]
    w: Annotated[int, Meta(ge=1, le=24)]
    h: Annotated[int, Meta(ge=1)]


class Step(Strict):
    color: Colour
    value: float | None


class Thresholds(Strict):
    mode: Literal["absolute"]
    steps: list[Step]


class Text(Strict):
    text: str
    color: Colour


class Mapping(Strict):
    type: Literal["value"]
    options: dict[str, Text]


class ThresholdsStyle(Strict):
    mode: Literal["dashed"]


class Custom(Strict):
    thresholds_style: ThresholdsStyle


class Defaults(Strict):
    unit: Unit
    no_value: Annotated[str, Meta(min_length=1)]
    thresholds: Thresholds
    mappings: list[Mapping]
    custom: Custom | None = None


class FieldConfig(Strict):
    defaults: Defaults
    overrides: list[Any]


class ReduceOptions(Strict):
    calcs: list[Literal["lastNotNull"]]
    fields: str
    values: bool


class Legend(Strict):
    display_mode: Literal["table", "list"]
    placement: Literal["bottom", "right"]
    calcs: list[Literal["lastNotNull", "max"]]


class Axis(Strict):
    unit: Unit


class Scale(Strict):
    scheme: Literal["Oranges"]
    mode: Literal["scheme"]


class SeriesOptions(Strict):
    legend: Legend


class ValueOptions(Strict):
    reduce_options: ReduceOptions
    color_mode: Literal["background"]


class BarOptions(Strict):
    reduce_options: ReduceOptions
    display_mode: Literal["basic"]
    orientation: Literal["horizontal"]


class HeatmapOptions(Strict):
    calculate: bool
    y_axis: Axis
    color: Scale


class TableOptions(Strict):
    show_header: bool


OPTIONS: dict[str, type[Strict]] = {
    "timeseries": SeriesOptions,
    "stat": ValueOptions,
    "bargauge": BarOptions,
    "heatmap": HeatmapOptions,
    "table": TableOptions,
}
TARGETS: dict[str, type[Strict]] = {
    "prometheus": PrometheusTarget,
    "grafana-postgresql-datasource": PostgresTarget,
}


class Panel(Strict):
    id: Annotated[int, Meta(ge=1)]
    type: Literal["timeseries", "stat", "heatmap", "table", "bargauge"]
    title: Annotated[str, Meta(min_length=1)]
    description: Annotated[str, Meta(min_length=1)]
    datasource: Source
    targets: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    grid_pos: GridPos
    field_config: FieldConfig
    options: dict[str, Any]


class Question(Strict):
    query: str
    ref_id: str


class Current(Strict):
    selected: bool
    text: str
    value: str


class Variable(Strict):
    name: Annotated[str, Meta(pattern=r"^\w+$")]
    label: str
    type: Literal["query"]
    datasource: Source
    query: Question
    definition: str
    refresh: Literal[1, 2]
    include_all: bool
    multi: bool
    all_value: str
    current: Current
    sort: Annotated[int, Meta(ge=0, le=8)]


class Templating(Strict):
    list: list[Variable]


class Annotations(Strict):
    list: list[Any]


class Time(Strict):
    from_: str = field(name="from")
    to: str


class Link(Strict):
    type: Literal["dashboards"]
    tags: list[str]
    title: str
    as_dropdown: bool


class Dashboard(Strict):
    uid: Uid
    title: Annotated[str, Meta(min_length=1)]
    description: str
    tags: list[str]
    schema_version: Annotated[int, Meta(ge=36)]
    version: int
    editable: bool
    refresh: Annotated[str, Meta(pattern=r"^\d+[smh]$")]
    timezone: Literal["browser", "utc"]
    time: Time
    templating: Templating
    links: list[Link]
    annotations: Annotations
    panels: Annotated[list[Panel], Meta(min_length=1)]


class Datasource(Strict):
    name: str
    uid: Uid
    type: Literal["prometheus", "grafana-postgresql-datasource"]
    access: Literal["proxy"]
    url: str
    editable: bool
    json_data: dict[str, Any]
    user: str = ""
    is_default: bool = False
    secure_json_data: dict[str, str] = {}


class Datasources(Strict):
    api_version: Literal[1]
    datasources: list[Datasource]


class FolderOptions(Strict):
    path: str


class Provider(Strict):
    name: str
    folder: str
    folder_uid: Uid
    type: Literal["file"]
    disable_deletion: bool
    allow_ui_updates: bool
    options: FolderOptions


class Providers(Strict):
    api_version: Literal[1]
    providers: list[Provider]


def variables(text: str) -> Iterator[str]:
    """The variables that a text uses, without those that Grafana itself has."""
    for plain, bracketed in NAMED.findall(text):
        name = plain or bracketed
        if not BUILT_IN.match(name):
            yield name


def overlapping(a: GridPos, b: GridPos) -> bool:
    """Whether two panels share a cell."""
    return a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h
