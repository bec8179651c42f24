"""`tradecopier acl`: writes the Redis users of a namespace: one ACL file, and a file with the password of each user."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from deploy import acl, settings
from deploy.acl import User
from deploy.directory import secret, write_whole

FILE = "users.acl"


@click.command("acl")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where they are kept (default: redis, in the data folder).",
)
@click.option("--print", "only_print", is_flag=True, help="Show who may do what and write nothing.")
@click.pass_obj
def command(config: Path, folder: Path | None, only_print: bool) -> None:
    """Write the Redis users of this namespace: a user for each service, with the fewest commands and keys.

    Passwords that are there stay; other namespaces' users in the same file stay too.
    """
    from shared.streams import Keys

    machine = settings.load(config, None, os.environ)
    keys = Keys(machine.redis.namespace)
    found = (*acl.users(keys, machine.ingest.sources, tuple(machine.executor.accounts)), acl.everything())
    if only_print:
        for user in found:
            click.echo(f"{user.name}: {user.does}\n    {' / '.join(grant.rules() for grant in user.grants)}")
        return
    place = (folder or machine.data / "redis").absolute()
    for line in written(place, found, keys.namespace):
        click.echo(line)


def written(folder: Path, found: Iterable[User], namespace: str) -> Iterable[str]:
    """Write file and passwords; yields what to tell a person. No password is among it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = list(found)
    file = folder / FILE
    before = file.read_text() if file.exists() else ""
    lines = {user.name: user.line(secret(password_file(folder, user.name))) for user in users}
    write_whole(file, acl.merged(before, lines, namespace).rstrip("\n"))
    for user in users:
        yield f"{user.name:<28} {user.does}; password in {password_file(folder, user.name)}"
    yield f"{file}: name it in redis.conf (`aclfile {file}`), or, when it is named there already, say `ACL LOAD`"
    yield f"then tell each service its user: TRADECOPIER_REDIS__USERNAME={users[0].name}"
    yield f"and its password:                TRADECOPIER_REDIS__PASSWORD=file:{password_file(folder, users[0].name)}"


def password_file(folder: Path, user: str) -> Path:
    """Where the password of a user is."""
    return folder / f"{user}.password"


def embedded(folder: Path, found: Iterable[User]) -> Callable[[str], str]:
    """The ACL file of a server of our own, given its own password, with which everything may be done."""

    def text(own: str) -> str:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [user.line(secret(password_file(folder, user.name))) for user in found]
        return "\n".join((acl.everything(acl.DEFAULT).line(own), *lines))

    return text
