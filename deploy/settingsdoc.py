"""Writes docs/settings.md from the settings' own types and from the commented example: `python -m deploy.settingsdoc`.

What a key may be and what it is by default comes from the struct that reads it, what it means from tradecopier.toml,
where each key is explained once. A test compares the file with what comes out here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import FieldInfo

import deploy
from archiver.settings import Archiver
from deploy.settingtypes import described
from executor.settings import Account, Limits, MetaTrader5, Settings, Simulated, Sizing, Symbols
from ingest.settings import Ingest, SourceTable
from shared.settings import Postgres, Redis, Security, Table

EXAMPLE = Path(deploy.__file__).with_name("tradecopier.toml")
FILE = Path(deploy.__file__).resolve().parents[1] / "docs" / "settings.md"
ACCOUNT = "executor.accounts.NAME"
SIMULATED, REAL = (f'{ACCOUNT}.terminal with kind = "{kind}"' for kind in ("simulated", "metatrader5"))
TABLES: Mapping[str, type[Table]] = {
    "redis": Redis,
    "postgres": Postgres,
    "security": Security,
    "ingest": Ingest,
    "ingest.sources.NAME": SourceTable,
    "executor": Settings,
    ACCOUNT: Account,
    SIMULATED: Simulated,
    REAL: MetaTrader5,
    f"{ACCOUNT}.symbols": Symbols,
    f"{ACCOUNT}.sizing": Sizing,
    f"{ACCOUNT}.limits": Limits,
    "archiver": Archiver,
}
INTRODUCTION = """# Settings

<!-- Written by `python -m deploy.settingsdoc`; change the types or deploy/tradecopier.toml instead. -->

One file, `tradecopier.toml`, or the one that `--config` names. [deploy/tradecopier.toml](../deploy/tradecopier.toml) is
the same as an example to start from. Every key can also be set in the environment, which wins: `redis.url` as
`TRADECOPIER_REDIS__URL`, `executor.accounts.my-demo.mode` as `TRADECOPIER_EXECUTOR__ACCOUNTS__MY_DEMO__MODE`. A key
that nobody knows is an error. Names of sources and accounts consist of a-z, 0-9 and hyphens.

A secret (a password, an address with one in it) is written out, in a file that is yours alone, or named:
`file:/etc/tradecopier/mt5.password`, `env:NAME`, or `keyring:SERVICE/NAME` for the operating system's keyring.
"""
HEADING = re.compile(r"(?:# )?\[([a-z0-9.A-Z-]+)\]")
KEY = re.compile(r"(?:# )?([a-z-]+) = (.*)")
ABOVE = "see above"


def main() -> None:
    """Write the file anew."""
    FILE.write_text(page(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")


def page(example: str) -> str:
    """The whole text."""
    meanings = explained(example)
    meanings[SIMULATED] = {**meanings[REAL], **meanings[SIMULATED]}
    return INTRODUCTION + "".join(part(name, kind, meanings.get(name, {})) for name, kind in TABLES.items())


def part(name: str, kind: type[Table], meanings: Mapping[str, str]) -> str:
    """One table of the settings."""
    order = {key: place for place, key in enumerate(meanings)}
    own = [field for field in msgspec.structs.fields(kind) if not of_its_own(field, kind)]
    own.sort(key=lambda field: order.get(field.encode_name, 0))
    lines = ["", f"## `[{name}]`" if " " not in name else f"## `[{name.replace(' ', ']` ', 1)}", ""]
    lines += ["| key | value | by default | |", "|---|---|---|---|"]
    lines += [row(field, meaning(field, meanings, name)) for field in own]
    if kind is Sizing:
        lines += ["", f"`[{name}.symbols.SYMBOL]` takes the same keys, each for one symbol."]
    return "\n".join(lines) + "\n"


def meaning(field: FieldInfo, meanings: Mapping[str, str], table: str) -> str:
    """What the example says of a key. Raises LookupError when it says nothing."""
    if field.encode_name not in meanings:
        raise LookupError(f"tradecopier.toml does not explain {table}.{field.encode_name}")
    return meanings[field.encode_name]


def row(field: FieldInfo, meant: str) -> str:
    """One key."""
    cells = (f"`{field.encode_name}`", described(field.type), default(field), meant)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def default(field: FieldInfo) -> str:
    """What is so when nothing is said."""
    if field.required:
        return "has to be said"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None or value in ("", {}, (), frozenset()):
        return "–"
    return f"`{spelled(value)}`"


def spelled(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, frozenset | tuple):
        return f"[{', '.join(spelled(each) for each in sorted(value))}]"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def of_its_own(field: FieldInfo, kind: type[Table]) -> bool:
    """Whether the key is a table that has a part of its own here."""
    tables = {"sources", "accounts", "terminal", "sizing"} | ({"symbols"} if kind in (Account, Sizing) else set())
    limits = field.name == "limits" and kind is Account
    return limits or (field.name in tables and not (kind is Account and field.name == "sources"))


def explained(example: str) -> dict[str, dict[str, str]]:
    """What each key means, by table and key."""
    found: dict[str, dict[str, str]] = {}
    for block in re.split(r"\n\s*\n", example):
        section = ""
        for name, key, words in sentences(block.splitlines(), last(found)):
            section = name
            found.setdefault(section, {}).setdefault(key, words)
    return found


def last(found: dict[str, dict[str, str]]) -> str:
    """The table that the lines so far end in."""
    return next(reversed(found), "")


def sentences(lines: Sequence[str], section: str) -> Iterator[tuple[str, str, str]]:
    """Table, key and meaning of each key in some lines. A comment goes for the keys right below it."""
    words: list[str] = []
    said = False
    for line in lines:
        if heading := HEADING.match(line):
            section, said = table(heading[1]), False
        elif key := KEY.match(line):
            if key[1] == "kind":  # what is said of it is said of the terminal
                section = section_of_kind(key[2])
                continue
            own = key[2].partition("  #")[2].strip()
            yield section, key[1], " ".join([*([] if said else words), *([own] if own else [])]) or ABOVE
            said = True
        elif line.startswith("#"):
            words, said = ([] if said else words) + [*filter(None, [line.lstrip("# ")])], False


def table(name: str) -> str:
    """The table's name in TABLES: whatever the example calls its source, account or symbol."""
    parts = name.split(".")
    for place, known in ((1, ("sources", "accounts")), (4, ("symbols",))):
        if len(parts) > place + 1 and parts[place] in known:
            parts[place + 1] = "SYMBOL" if place == 4 else "NAME"
    return ".".join(parts)


def section_of_kind(value: str) -> str:
    """A terminal has one of two forms, which the example shows one after the other."""
    return f"{ACCOUNT}.terminal with kind = {value.split(maxsplit=1)[0]}"


if __name__ == "__main__":
    main()
