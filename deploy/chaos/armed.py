"""`tradecopier` for the fault suite: the proxy of its `up` ends itself at a named point, once, where a file says so.

Arguments: that file, then the command. Everything else is as a user has it. `up` starts its proxy through here too; a
proxy that finds the file takes it away and begins with what it says.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a proxy that is on its way need not wait for what it does not use
    from deploy.fleet import Fleet
    from deploy.worker import Job

OPTION = "--die-at"
PROXY, FLEET = "ingest", "Fleet"


def through(file: Path) -> "type[Fleet]":
    """A fleet whose proxy is started through here."""
    from deploy.fleet import Fleet

    class Armed(Fleet):
        def _service(self, name: str, service: str, accounts: Sequence[str] = ()) -> "Job":
            job = super()._service(name, service, accounts)
            if service != PROXY:
                return job
            python, module, _, *words = job.argv
            return replace(job, argv=[python, module, "deploy.chaos.armed", str(file), *words])

    return Armed


def asked(file: Path) -> list[str]:
    """What the file asks of a proxy that begins; only the first one finds it."""
    with suppress(FileNotFoundError):
        point = file.read_text()
        file.unlink()
        return [OPTION, point]
    return []


def main() -> None:
    """Run the command."""
    file = Path(sys.argv.pop(1))
    if PROXY in sys.argv:
        os.execv(sys.executable, [sys.executable, "-m", "deploy", *sys.argv[1:], *asked(file)])
    from deploy import cli, local

    assert hasattr(local, FLEET), "`up` makes its fleet in another way now"
    setattr(local, FLEET, through(file))
    cli.main()


if __name__ == "__main__":
    main()
