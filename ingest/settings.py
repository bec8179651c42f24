"""What ingest reads from the settings file: where it listens, where it keeps its journal, and which sources it follows.

Every mistake is one line with the path of the key. Paths are taken as they are written; what is not set lies in the
directory `data` beside the settings file, where `up` keeps everything else too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from ingest.source import Protocol, Source, parse_host
from shared.facts import Model, Unit
from shared.listening import is_loopback
from shared.settings import Document, Secret, SettingsError, Table, require_name, section

OnProxyDown = Literal["direct", "fail"]

_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})")


class SourceTable(Table, frozen=True, kw_only=True):
    """[ingest.sources.NAME]: one broker host, or Paper Trading, and the source account that is followed there."""

    host: str
    account: str
    protocol: Protocol = "broker-rest"
    quantity_unit: Unit | Literal["auto"] = "auto"
    positions: Model | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        try:
            parse_host(self.host)
        except ValueError as error:
            raise ValueError(f"host: {error}") from error
        if not self.account or "/" in self.account:
            raise ValueError("account must be the account's id as it stands in TradingView's requests, or *")


class Ingest(Table, frozen=True, kw_only=True):
    """[ingest]: the proxy and its journal. `on_proxy_down` is what the PAC file tells a browser to do without us.

    `proxy_auth` (`user:password`) is what a browser has to say to the proxy; a proxy that others can reach wants one.
    """

    listen: str = "127.0.0.1:8080"
    metrics: str = "127.0.0.1:9101"
    upstream_ca_file: Path | None = None
    confdir: Path | None = None
    outbox: Path | None = None
    on_proxy_down: OnProxyDown = "direct"
    proxy_auth: Secret | None = None
    sources: Mapping[str, SourceTable] = {}

    def __post_init__(self) -> None:
        for name in ("listen", "metrics"):
            parse_listen(getattr(self, name), name)
        if self.proxy_auth is None and not is_loopback(parse_listen(self.listen, "listen")[0]):
            raise ValueError(
                f"listen is {self.listen}, which others can reach: set proxy-auth to user:password, or take 127.0.0.1"
            )


class Places(Table, frozen=True, kw_only=True):
    """Where ingest keeps its files: the journal of the outbox, and the proxy's own CA."""

    outbox: Path
    confdir: Path


def parse_listen(text: str, key: str) -> tuple[str, int]:
    """Take `host:port` apart; port 0 means a free one. Raises ValueError."""
    found = _LISTEN.fullmatch(text)
    if not found or int(found[2]) > 65535:
        raise ValueError(f"{key} must be host:port, as in 127.0.0.1:8080, and is {text!r}")
    return found[1].strip("[]"), int(found[2])


def nearby(listen: str) -> str:
    """Where a program on this machine reaches what listens on `host:port`, which may be every address that it has."""
    host, port = parse_listen(listen, "listen")
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  that is what is asked
    return shown((name, port))


def shown(place: tuple[str, int]) -> str:
    """A host and port as one writes them; an address of IPv6 stands in brackets."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def load(document: Document) -> Ingest:
    """The section [ingest]. Raises SettingsError with the path of what is wrong."""
    table = document.get("ingest", {})
    for name, source in _tables(table).items():
        path = f"ingest.sources.{name}"
        _checked_name(path, name)
        section({path: source}, path, SourceTable)
    ingest = section(document, "ingest", Ingest)
    _require_distinct(sources(ingest))
    return ingest


def sources(ingest: Ingest) -> tuple[Source, ...]:
    """The sources as the rest of ingest knows them, in the order of the file."""
    return tuple(_source(name, table) for name, table in ingest.sources.items())


def places(ingest: Ingest, config: Path) -> Places:
    """Where the files are, for the settings file `config`."""
    data = config.resolve().parent / "data"
    return Places(outbox=ingest.outbox or data / "outbox", confdir=ingest.confdir or data / "proxy")


def require_sources(ingest: Ingest) -> tuple[Source, ...]:
    """The sources; SettingsError when there is none, for then there is nothing to do."""
    if not ingest.sources:
        raise SettingsError("ingest.sources: there is no source; add [ingest.sources.NAME] with host and account")
    return sources(ingest)


def _tables(table: object) -> Mapping[str, object]:
    found = table.get("sources", {}) if isinstance(table, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _checked_name(path: str, name: str) -> None:
    try:
        require_name(name)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def _source(name: str, table: SourceTable) -> Source:
    host, port, prefix = parse_host(table.host)
    return Source(
        name=name, host=host, port=port, prefix=prefix, protocol=table.protocol,
        account=unquote(table.account), quantity_unit=table.quantity_unit, positions=table.positions,
    )  # fmt: skip


def _require_distinct(found: tuple[Source, ...]) -> None:
    """Two sources that follow the same account would publish everything twice."""
    for i, one in enumerate(found):
        for other in found[:i]:
            same_place = (one.protocol, one.host, one.port, one.prefix) == (
                other.protocol, other.host, other.port, other.prefix,
            )  # fmt: skip
            if same_place and (one.owns(other.account) or other.owns(one.account)):
                raise SettingsError(
                    f"ingest.sources.{one.name}: follows the same account as ingest.sources.{other.name}"
                )
