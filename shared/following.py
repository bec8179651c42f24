"""Real money follows a source account that is named, never whatever account the trader opens next.

Each service checks it at its start, as far as its settings file says both sides: who follows, and what is followed.
"""

from collections.abc import Mapping
from typing import Any

from shared.settings import Document, SettingsError

EVERY_ACCOUNT = "*"


def require_named(document: Document) -> None:
    """Refuse a live account with a real terminal that follows every account of a source. Raises SettingsError."""
    sources = _tables(document, "ingest", "sources")
    for name, account in _tables(document, "executor", "accounts").items():
        for source in _followed(account) if _is_live(account) else ():
            if sources.get(source, {}).get("account") == EVERY_ACCOUNT:
                raise SettingsError(
                    f'ingest.sources.{source}.account is "*", and executor.accounts.{name} is live: '
                    "name the one to copy"
                )


def _is_live(account: Mapping[str, Any]) -> bool:
    terminal = account.get("terminal")
    kind = terminal.get("kind") if isinstance(terminal, Mapping) else None
    return kind == "metatrader5" and account.get("mode") == "live"


def _followed(account: Mapping[str, Any]) -> list[str]:
    named = account.get("sources")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list | tuple) else []


def _tables(document: Document, section: str, key: str) -> dict[str, Mapping[str, Any]]:
    """The tables below a key; what is none is refused by who reads it in earnest."""
    found = document.get(section)
    tables = found.get(key) if isinstance(found, Mapping) else None
    named = tables.items() if isinstance(tables, Mapping) else ()
    return {name: table for name, table in named if isinstance(table, Mapping)}
