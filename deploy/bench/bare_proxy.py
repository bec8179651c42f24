"""The proxy without a tap, as a process of its own: it opens one host, looks at nothing, and is what ingest's proxy is
measured against.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from deploy.directory import write_whole
from ingest.proxy import Proxy
from shared.process import Stop, run


async def serve(stop: Stop, proxy: Proxy, ready_file: Path) -> None:
    """Serve a proxy that is prepared until asked to stop; `ready_file` gets its address."""
    serving = stop.supervise(proxy.run(), "proxy")
    host, port = await proxy.started()
    write_whole(ready_file, f"{host}:{port}")
    await stop.wait()
    proxy.stop()
    await serving


def main(words: Sequence[str] | None = None) -> None:
    """`python -m deploy.bench.bare_proxy --opened HOST PORT --confdir DIR --upstream-ca FILE --ready-file FILE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--opened", nargs=2, required=True)
    for name in ("--confdir", "--upstream-ca", "--ready-file"):
        parser.add_argument(name, type=Path, required=True)
    told = parser.parse_args(words)
    host, port = told.opened

    async def serving(stop: Stop) -> None:
        logging.getLogger().setLevel(logging.WARNING)
        proxy = Proxy(("127.0.0.1", 0), told.confdir, object(), upstream_ca=told.upstream_ca)
        proxy.prepare([(host, int(port))])
        await serve(stop, proxy, told.ready_file)

    run(serving, "bare proxy")


if __name__ == "__main__":
    main()
