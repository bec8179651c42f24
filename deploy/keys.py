"""`tradecopier key`: exchange the keys that entries are signed with while everything runs, without losing an entry.

The order is: `add` a key, which everybody accepts and nobody signs with; copy the file to every other machine; `use`
the key on each; and when nothing in the streams bears the old one any more, `retire` it: from then on it only proves
the archive. Services look at the file every second.
"""

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from deploy import settings
from deploy.directory import write_whole
from deploy.settings import KEY_BYTES
from shared.process import UserError
from shared.settings import parse_keyring
from shared.wire import KEY_ID

RETIRED = ":retired"
DATA = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder of `up`.")


@click.group()
def cli() -> None:
    """The keys that entries are signed with."""


@cli.command("list")
@DATA
@click.pass_obj
def show(config: Path, data: Path | None) -> None:
    """Show the keys by their ids, what each is good for, and how much in Redis bears it."""
    path = key_file(config, data)
    borne = _borne(config, data)
    for line in lines(path):
        name = _id(line)
        click.echo(f"{name:<12} {_role(line, lines(path)):<40} {_told(borne, name)}")


@cli.command()
@DATA
@click.pass_obj
def make(config: Path, data: Path | None) -> None:
    """Make the first key, on one machine; all others get a copy of the file. `up` does it by itself."""
    path = _place(config, data)
    if path.exists():
        raise UserError(f"{path}: there are keys already; `tradecopier key add` makes one more")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, [f"k1:{secrets.token_hex(KEY_BYTES)}"])
    except OSError as error:
        raise UserError(f"{path}: it cannot be written ({error.strerror})") from error
    click.echo(f"k1 is in {path}, and signs.")
    click.echo("Copy the file to every other machine and make none there: what one signs, the others have to know.")


@cli.command()
@click.option("--id", "name", help="What to call it (default: the next number, as in k2).")
@DATA
@click.pass_obj
def add(config: Path, data: Path | None, name: str | None) -> None:
    """Make a key that everybody accepts and nobody signs with yet."""
    path = key_file(config, data)
    before = lines(path)
    name = name or _next(before)
    _write(path, added(before, name, secrets.token_hex(KEY_BYTES)))
    click.echo(f"{name} is in {path}: nothing is signed with it yet.")
    click.echo(f"Copy the file to every machine that works with this one, then `tradecopier key use {name}` on each.")


@cli.command()
@click.argument("name")
@DATA
@click.pass_obj
def use(config: Path, data: Path | None, name: str) -> None:
    """Sign with a key from now on. Every machine has to have it by then, or its accounts stop opening."""
    path = key_file(config, data)
    _write(path, used(lines(path), name))
    click.echo(f"{name} signs from now on; the others are still accepted.")


@cli.command()
@click.argument("name")
@click.option("--now", is_flag=True, help="Although entries still bear it: what is unread of them is a dead letter.")
@DATA
@click.pass_obj
def retire(config: Path, data: Path | None, name: str, *, now: bool) -> None:
    """Accept a key no more, but in the archive. Refused while anything in the streams bears it."""
    from deploy.resealing import resealed, unanswered

    path = key_file(config, data)
    after = retired(lines(path), name)
    # With a key that was stolen somebody else may have asked for it, so that is not made ours.
    moved = resealed(config, data, name, orders=not now)
    asked = unanswered(config, data, name)
    if asked and not now:
        raise UserError(
            f"what an operator has just asked of {', '.join(asked)} bears {name}: let that machine sign with another "
            "key, `tradecopier key use`, then try again; if the key was stolen, say --now"
        )
    left = _borne(config, data)
    if left is None and not now:
        raise UserError(f"Redis does not say whether anything still bears {name}; nothing was changed")
    if left and left.get(name, 0) and not now:
        raise UserError(
            f"{left[name]} entries in the streams still bear {name}: they leave when they are archived and older than "
            "archiver.retention; if the key was stolen, say --now"
        )
    _write(path, after)
    for account in asked:
        click.echo(f"{account}: what was asked of it under {name} is void: flatten, resume, replay or resolve anew")
    click.echo(
        f"{name} is retired ({moved} facts of pictures, seals and orders are signed anew). Copy the file as before."
    )


def key_file(config: Path, data: Path | None) -> Path:
    """The file of the signing keys. Raises SettingsError, or UserError when there is none yet."""
    path = _place(config, data)
    if not path.exists():
        how = "copy it from the machine that has one; the first is made by `tradecopier up`, or `tradecopier key make`"
        raise UserError(f"{path}: there is no signing key yet; {how}")
    return path


def lines(path: Path) -> list[str]:
    """The keys, one a line, the first of which signs. Raises SettingsError when one is unusable."""
    found = path.read_text().split()
    parse_keyring(found, path)
    return found


def added(before: Sequence[str], name: str, key: str) -> list[str]:
    """With one key more, which does not sign. Raises UserError when there is one of that name, or it is no name."""
    if not KEY_ID.fullmatch(name):
        raise UserError(f"a key's id is made of up to 64 letters, digits, dots, hyphens and underscores, not {name!r}")
    if name in map(_id, before):
        raise UserError(f"there is a key {name} already; choose another --id")
    return [*before, f"{name}:{key}"]


def used(before: Sequence[str], name: str) -> list[str]:
    """With that key first. Raises UserError when there is none of that name, or it is retired."""
    line = _line(before, name)
    if line.endswith(RETIRED):
        raise UserError(f"{name} is retired: nobody would accept what it signs; `tradecopier key add` makes a new one")
    return [line, *(each for each in before if each != line)]


def retired(before: Sequence[str], name: str) -> list[str]:
    """With that key marked. Raises UserError when it signs, or there is none of that name."""
    line = _line(before, name)
    if line == before[0]:
        raise UserError(f"{name} is the key that signs; first `tradecopier key use` another one")
    return [f"{each}{RETIRED}" if each == line and not each.endswith(RETIRED) else each for each in before]


def _place(config: Path, data: Path | None) -> Path:
    machine = settings.load(config, data, os.environ)
    return (machine.security.signing_key_file or machine.data / "signing.key").absolute()


def _write(path: Path, keys: Sequence[str]) -> None:
    write_whole(path, "\n".join(keys))


def _id(line: str) -> str:
    return line.partition(":")[0]


def _line(keys: Sequence[str], name: str) -> str:
    for line in keys:
        if _id(line) == name:
            return line
    raise UserError(f"there is no key {name}; there are: {', '.join(map(_id, keys))}")


def _next(keys: Sequence[str]) -> str:
    numbers = [int(found[1]) for line in keys if (found := re.fullmatch(r"k(\d+)", _id(line)))]
    return f"k{max(numbers, default=0) + 1}"


def _role(line: str, keys: Sequence[str]) -> str:
    if line.endswith(RETIRED):
        return "retired: proves the archive alone"
    return "signs, and is accepted" if line == keys[0] else "is accepted"


def _borne(config: Path, data: Path | None) -> Mapping[str, int] | None:
    from deploy.resealing import borne

    return borne(config, data)


def _told(borne: Mapping[str, int] | None, name: str) -> str:
    if borne is None:
        return "(Redis does not answer)"
    return f"on {borne.get(name, 0)} entries in Redis"
