"""Asks a service of ours whether it is well, for whoever restarts what is not: `python -m deploy.probe 127.0.0.1:9101`.

Exit code 0 when `/healthz` says so, 1 with what is wrong on standard output. Standard library only and nothing else
imported, since a container engine starts it every few seconds.
"""

import http.client
import sys
from collections.abc import Callable

PATIENCE_S = 4.0


def main(arguments: list[str], tell: Callable[[str], None] = print) -> int:
    """Ask at `HOST:PORT`; the exit code."""
    host, _, port = "".join(arguments).rpartition(":")
    if len(arguments) != 1 or not port.isdecimal():
        tell("say where: python -m deploy.probe HOST:PORT")
        return 2
    try:
        well, text = ask(host.strip("[]"), int(port))
    except (OSError, http.client.HTTPException) as error:
        well, text = False, f"{arguments[0]} does not answer: {error}"
    tell(text)
    return 0 if well else 1


def ask(host: str, port: int) -> tuple[bool, str]:
    """Whether the service is well, and what it said. Raises OSError or HTTPException when it says nothing."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        return reply.status == 200, reply.read().decode(errors="replace").strip()
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
