"""The parent's end of the socket: who may speak, and what happens to noise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from executor.mt5.child import HEADER, Hello, Request, Response
from executor.mt5.childlink import ChildLink

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def frame(message: msgspec.Struct) -> bytes:
    payload = msgspec.msgpack.encode(message)
    return HEADER.pack(len(payload)) + payload


class Parent:
    def __init__(self) -> None:
        self.link = ChildLink(lambda _, hello: hello.token == "right", lambda _, answer: self.heard.append(answer))
        self.heard: list[Response] = []


@pytest.fixture
async def parent() -> Parent:
    return Parent()


@pytest.fixture
async def child(parent: Parent) -> AsyncIterator[Pipe]:
    server = await asyncio.get_running_loop().create_server(lambda: parent.link, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield reader, writer
    writer.close()
    server.close()


async def test_a_greeted_child_is_heard_and_spoken_to(parent: Parent, child: Pipe) -> None:
    reader, writer = child
    writer.write(frame(Hello("right", 1, "3.11")) + frame(Response(5, "value", [1])))
    while not parent.heard:
        await asyncio.sleep(0.001)
    assert parent.heard[0].id == 5
    parent.link.write(Request(6, "version"))
    (size,) = HEADER.unpack(await reader.readexactly(4))
    assert msgspec.msgpack.decode(await reader.readexactly(size), type=Request).id == 6


@pytest.mark.parametrize(
    "noise", [frame(Hello("wrong", 1, "")), frame(Response(1, "value")), HEADER.pack(3) + b"\xc1\xc1\xc1"]
)
async def test_strangers_and_noise_are_cut_off(parent: Parent, child: Pipe, noise: bytes) -> None:
    child[1].write(noise + frame(Response(2, "value")))
    await parent.link.closed.wait()
    assert parent.heard == []


async def test_a_closed_socket_is_noticed(parent: Parent, child: Pipe) -> None:
    child[1].write(frame(Hello("right", 1, "3.11")))
    child[1].close()
    await parent.link.closed.wait()
