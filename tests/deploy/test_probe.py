"""A container engine is told in its own words whether a service is well."""

import pytest

from deploy.probe import main
from shared import metrics
from tests.processes import python


async def probed(complaints: list[str]) -> tuple[int, list[str]]:
    import asyncio

    said: list[str] = []
    async with metrics.served(metrics.new_registry("ingest"), "127.0.0.1:0", lambda: complaints) as address:
        code = await asyncio.to_thread(main, [address], said.append)
    return code, said


async def test_a_service_that_is_well() -> None:
    assert await probed([]) == (0, ["ok"])


async def test_a_service_that_is_not() -> None:
    assert await probed(["Redis is away"]) == (1, ["Redis is away"])


@pytest.mark.parametrize(("arguments", "code"), [(["127.0.0.1:1"], 1), (["127.0.0.1:x"], 2), ([], 2)])
def test_nobody_there_and_nowhere_to_ask(arguments: list[str], code: int) -> None:
    said: list[str] = []
    assert main(arguments, said.append) == code
    assert len(said) == 1


def test_it_is_quick_since_it_imports_nothing_of_ours() -> None:
    with python("import sys, deploy.probe; print(*sorted(m for m in sys.modules if '.' not in m))") as process:
        modules = process.communicate()[0].split()
    assert not {"click", "msgspec", "redis", "shared", "asyncio"} & set(modules)
