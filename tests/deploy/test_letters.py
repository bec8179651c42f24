"""Dead letters can be read without a client of Redis, and are gone when a person has seen them, and not before."""

import asyncio
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from archiver.originals import Original
from deploy.embedded import Valkey
from deploy.letters import lines, listed
from deploy.operate import dead_letters
from shared import streams
from shared.streams import Entry
from tests.deploy.onlookers import beside
from tests.executor.rig import KEYS


async def bury(redis: Redis, number: int, text: str = "nobody of ours signed it") -> None:
    entry = Entry(f"{number}-0", {b"m": b"{}"})
    await streams.bury(redis, KEYS, entry, reader="main", reason="bad-signature", text=text)


async def test_each_is_a_line_with_who_gave_it_up_and_why(redis: Redis) -> None:
    await bury(redis, 1)
    await bury(redis, 2)

    first, second, *rest = lines(await listed(redis, KEYS.dead, clear=False), cleared=False)

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  main gave up entry 1-0, bad-signature: nobody.*", first)
    assert "entry 2-0" in second
    assert rest[0].startswith("2 dead letters")
    assert any("replay --account NAME --dead" in line for line in rest)
    assert await redis.xlen(KEYS.dead) == 2


async def test_those_that_were_listed_are_taken_away_and_no_other(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(redis, 1)
    straight = redis.xdel

    async def xdel(key: str, *ids: str) -> int:
        await bury(redis, 2)  # while the first is being read
        return int(await straight(key, *ids))

    monkeypatch.setattr(redis, "xdel", xdel)
    assert len(await listed(redis, KEYS.dead, clear=True)) == 1

    (left,) = await listed(redis, KEYS.dead, clear=False)
    assert left.fields[b"entry"] == b"2-0"


def test_what_somebody_wrote_there_to_mislead_a_terminal_is_not_written_out() -> None:
    letter = Original(entry="1-1", what="entry 1-1", fields={b"reader": b"\xff", b"text": b"\x1b[2J all is well\n"})

    (line, *_) = lines([letter], cleared=False)

    assert line.isprintable()
    assert "gave up entry ?, ?" in line


async def test_the_command_lists_clears_and_says_when_there_are_none(
    tmp_path: Path, valkey: Valkey, redis: Redis
) -> None:
    config = beside(tmp_path, valkey)
    await bury(redis, 1)

    def told(*arguments: str) -> str:
        return CliRunner().invoke(dead_letters, arguments, obj=config).output

    said = [await asyncio.to_thread(told, *arguments) for arguments in ([], ["--clear"], [])]

    assert "bad-signature" in said[0]
    assert "1 dead letter taken away" in said[1]
    assert said[2] == "there are no dead letters\n"
