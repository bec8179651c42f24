"""What a flow of the proxy holds, as plain values without secrets: on its way, or from a recording."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitmproxy import http, websocket
from mitmproxy.exceptions import FlowReadException
from mitmproxy.io import FlowReader
from mitmproxy.io.har import request_to_flow

from ingest import har
from ingest.exchange import Exchange, Frame, replied, requested
from ingest.streaming import Passing
from shared.process import UserError

ASKED, REQUEST, PASSING = "tradecopier.asked", "tradecopier.request", "tradecopier.passing"
"""What the tap keeps on a flow: when it came, its request as it was read, and a reply that is read while it passes."""

CONDITIONS = frozenset({b"if-none-match", b"if-modified-since"})
"""Headers by which a browser asks for an answer only if it is another one than it has."""


def exchange(flow: http.HTTPFlow, asked: datetime, answered: datetime | None, line: bytes | None = None) -> Exchange:
    """What passed so far, as plain values without secrets; `line` is one line of a reply that has more."""
    found, response = flow.metadata.get(REQUEST) or request(flow, asked), flow.response
    if response is None and flow.error is None:
        return found
    return replied(
        found, status=response.status_code if response is not None else None,
        answer=line if line is not None else answer(flow), answered=answered,
        error=flow.error.msg if flow.error is not None else "",
    )  # fmt: skip


def request(flow: http.HTTPFlow, asked: datetime) -> Exchange:
    """A request without its reply."""
    data = flow.request.data
    path, _, query = data.path.decode("utf-8", "replace").partition("?")
    page, is_encoded = _told(data.headers.fields)
    body = flow.request.get_content(strict=False) if is_encoded else data.content
    return requested(
        flow=flow.id, method=data.method.decode("utf-8", "surrogateescape"), scheme=data.scheme.decode("latin-1"),
        host=data.host, port=data.port, path=path, query=query, origin=page, body=body or b"", asked=asked,
    )  # fmt: skip


def _told(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, bool]:
    """The page that asks (its origin, else what refers to it), and whether the body is encoded.

    To ask the library for a header reads all of them each time.
    """
    origin = refers = b""
    is_encoded = False
    for name, value in headers:
        match len(name), name.lower():
            case 6, b"origin":
                origin = origin or value
            case 7, b"referer":
                refers = value
            case 16, b"content-encoding":
                is_encoded = True
    return (origin or refers).decode("latin-1"), is_encoded


def ask_whole(request: http.Request) -> None:
    """Let a question be answered even if the browser has the answer already: "not modified" shows us nothing.

    What a poll has shown once would never be confirmed by a second one, and a source that is quiet would seem blind.
    """
    for name in CONDITIONS & {name.lower() for name, _ in request.headers.fields}:
        del request.headers[name]


def _body(message: http.Message) -> bytes | None:
    """The decoded body. To ask the library costs more, and most bodies are not encoded. Raises ValueError."""
    raw = message.raw_content
    if not raw or not any(name.lower() == b"content-encoding" for name, _ in message.headers.fields):
        return raw
    return message.get_content()


def recorded(path: Path) -> Iterator[tuple[datetime, Exchange | Frame]]:
    """What a recording (mitmproxy's flow file, or HAR) holds, with the moment of each; a request and its reply are two.

    Raises UserError when the file, or something in it, cannot be read; what can be comes before.
    """
    try:
        if (entries := har.entries(path)) is not None:
            yield from _entries(path, entries)
            return
        with path.open("rb") as file:
            for flow in FlowReader(file).stream():
                if isinstance(flow, http.HTTPFlow):
                    yield from _moments(flow)
    except (OSError, FlowReadException) as error:
        raise UserError(f"{path}: cut off, or neither a flow file of mitmproxy nor a HAR file: {error}") from error


def _entries(path: Path, entries: list[Any]) -> Iterator[tuple[datetime, Exchange | Frame]]:
    """The calls in a HAR file; an entry that a browser has left something out of spoils no other."""
    bad = []
    for number, entry in enumerate(entries, start=1):
        try:
            yield from list(_moments(request_to_flow(entry)))
        except Exception:  # noqa: BLE001  whatever mitmproxy's reader makes of it
            bad.append(number)
    if bad:
        raise UserError(f"{path}: {len(bad)} of {len(entries)} entries cannot be read, the first is number {bad[0]}")


def _moments(flow: http.HTTPFlow) -> Iterator[tuple[datetime, Exchange | Frame]]:
    asked = datetime.fromtimestamp(flow.request.timestamp_end or flow.request.timestamp_start, UTC)
    response, flow.response = flow.response, None
    error, flow.error = flow.error, None
    yield asked, exchange(flow, asked, None)
    flow.response, flow.error = response, error
    if response is not None or error is not None:
        ended = (response.timestamp_end or response.timestamp_start) if response else error.timestamp if error else 0
        answered = max(asked, datetime.fromtimestamp(ended, UTC))
        yield answered, exchange(flow, asked, answered)
    for number, message in enumerate(flow.websocket.messages if flow.websocket else ()):
        yield datetime.fromtimestamp(message.timestamp, UTC), frame(flow, message, number)


def frame(flow: http.HTTPFlow, message: websocket.WebSocketMessage, number: int, at: datetime | None = None) -> Frame:
    """A websocket message as plain values; `number` counts the messages of its connection."""
    return Frame(
        flow=f"{flow.id}/{number}", host=flow.request.host.lower(), port=flow.request.port, path=flow.request.path,
        at=at or datetime.fromtimestamp(message.timestamp, UTC), text=message.content, from_client=message.from_client,
    )  # fmt: skip


def answer(flow: http.HTTPFlow) -> bytes | None:
    """The reply's decoded body; `None` when there is none, or when it cannot be decoded or was cut off."""
    passing = flow.metadata.get(PASSING)
    if isinstance(passing, Passing):
        return passing.body
    if flow.response is None:
        return None
    try:
        return _body(flow.response)
    except ValueError:
        return None
