"""What ingest runs with: its own settings and those it shares with the other services, read and checked before
anything starts.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

import ingest.settings
from ingest.settings import Ingest, Places
from ingest.source import Source
from shared import settings
from shared.addresses import redis_url
from shared.following import require_named
from shared.points import Reach
from shared.wire import Keyring


class Plan(Struct, frozen=True, kw_only=True):
    """What ingest runs with. `ready_file` is made once the proxy accepts connections; it holds the address.

    `reach` is told when a point of `ingest.outbox.POINTS` is reached; in service nothing happens there.
    """

    redis_url: str
    namespace: str
    keyring: Keyring
    settings: Ingest
    sources: tuple[Source, ...]
    places: Places
    ready_file: Path | None = None
    reach: Reach = lambda _: None


def plan(config: Path, environment: Mapping[str, str], *, ready_file: Path | None = None) -> Plan:
    """What to run with, from the settings file. Raises SettingsError."""
    document = settings.read(config, environment)
    redis = settings.section(document, "redis", settings.Redis)
    ours = ingest.settings.load(document)
    require_named(document)
    return Plan(
        redis_url=redis_url(redis),
        namespace=redis.namespace,
        keyring=settings.keyring(settings.section(document, "security", settings.Security)),
        settings=ours,
        sources=ingest.settings.require_sources(ours),
        places=ingest.settings.places(ours, config),
        ready_file=ready_file,
    )
