"""The proxy's addon: what passes on a trading host becomes plain values for the intake. Guard clauses, no decisions.

A trading request is on disk before it is forwarded, and its reply is on disk before the browser has it. All else (what
the reply means, what a poll shows, that a request waits) holds up nobody: it is looked at right after, and before
whatever passes next. A disk that is slow holds up that call alone, one that hangs for a second at most. A surprise in
here is logged and counted and never reaches the proxy: the trader's call goes its way whatever happens to ours.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from mitmproxy import http, websocket
from mitmproxy.exceptions import FlowReadException
from mitmproxy.io import FlowReader
from mitmproxy.io.har import request_to_flow

from ingest import har
from ingest.exchange import Exchange, Frame, replied, requested
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.streaming import Passing, Unreadable
from shared.process import UserError

log = logging.getLogger(__name__)

_ASKED, _REQUEST = "tradecopier.asked", "tradecopier.request"
_PASSING, _FRAMES = "tradecopier.passing", "tradecopier.frames"

Work = Callable[[], None]

REFUSAL = b"TradeCopier: this host is only reached by HTTPS, so that nobody reads or changes an order on its way.\n"

LINES = ("application/x-ndjson", "application/jsonl", "application/stream+json", "text/event-stream")
"""Content types of replies that say something with every line and may never end."""


CONDITIONS = frozenset({b"if-none-match", b"if-modified-since"})
"""Headers by which a browser asks for an answer only if it is another one than it has."""


class Tap:
    """To be added to the proxy; hands over to `intake` what concerns its hosts."""

    def __init__(self, intake: Intake, metrics: Metrics, soon: Callable[[Work], object] | None = None) -> None:
        """`soon` has work done when nothing is held up by it; by default the event loop's next round."""
        self._intake = intake
        self._metrics = metrics
        self._soon = soon or (lambda work: asyncio.get_running_loop().call_soon(work))
        self._waiting: deque[Work] = deque()
        intake.aside = self._later

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """A whole request came in; it is forwarded when this is done."""
        begun = perf_counter()
        if not self._is_ours(flow):
            return None
        if flow.request.scheme != "https":
            flow.response = http.Response.make(403, REFUSAL, {"content-type": "text/plain"})
            return None
        flow.metadata[_ASKED] = self._intake.clock()
        if flow.request.method == "GET":
            _ask_whole(flow.request)
            return None
        self._guarded("request", lambda: self._asked(flow), begun)
        return self._on_disk("request") if self._intake.awaits(flow.id) else None

    def _asked(self, flow: http.HTTPFlow) -> None:
        captured = _request(flow, flow.metadata[_ASKED])
        flow.metadata[_REQUEST] = captured  # the reply is told of the same request, which is not read twice
        if self._intake.journal(captured):
            self._later(lambda: self._intake.follow(captured))

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """A reply begins. One to a question, without a length, passes at once and is read meanwhile."""
        response, is_question = flow.response, flow.request.method == "GET"
        if (
            self._is_captured(flow)
            and is_question
            and response is not None
            and "content-length" not in response.headers
        ):
            self._guarded("responseheaders", lambda: self._let_pass(flow, response))

    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """A whole reply came in; it passes when this is done, unless it did already."""
        begun = perf_counter()
        if not self._is_captured(flow) or flow.websocket is not None:
            return None
        at = self._intake.clock()
        if not self._intake.awaits(flow.id):
            self._guarded("response", lambda: self._answered_soon(flow, at), begun)
            return None
        self._guarded("response", lambda: self._replied(flow, at), begun)
        return self._on_disk("response")

    def _answered_soon(self, flow: http.HTTPFlow, at: datetime) -> None:
        self._later(lambda: self._intake.answered(exchange(flow, flow.metadata[_ASKED], at)))

    def _replied(self, flow: http.HTTPFlow, at: datetime) -> None:
        captured = exchange(flow, flow.metadata[_ASKED], at)
        self._later(lambda: self._intake.answered(captured))
        self._intake.reply(captured)

    def _on_disk(self, hook: str) -> Awaitable[None] | None:
        """What a trading call has to wait for; nothing, as long as the disk keeps up."""
        return None if self._intake.is_safe else self._wait_for_disk(hook)

    async def _wait_for_disk(self, hook: str) -> None:
        begun = perf_counter()
        if not await self._intake.safe():
            self._metrics.unjournaled(hook)
        self._metrics.hooked(hook, perf_counter() - begun)

    def error(self, flow: http.HTTPFlow) -> None:
        """There will be no reply: connection cut, tab closed, broker away."""
        if self._is_captured(flow) and flow.websocket is None:
            self._guarded("error", lambda: self._intake.answered(self._exchange(flow)))

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """A websocket message came in. It is not kept on the flow, which can live for days."""
        if self._is_captured(flow) and flow.websocket is not None:
            self._guarded("websocket_message", lambda: self._intake.seen(self._frame(flow)))
        if flow.websocket is not None:
            flow.websocket.messages.clear()

    def _is_ours(self, flow: http.HTTPFlow) -> bool:
        request, host = flow.request, flow.request.data.host.lower()
        if request.data.scheme == b"https":
            return self._intake.opens(host, request.data.port)
        return host in {name for name, _ in self._intake.opened()}

    def _is_captured(self, flow: http.HTTPFlow) -> bool:
        return _ASKED in flow.metadata

    def _let_pass(self, flow: http.HTTPFlow, response: http.Response) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        on_line = self._line_reader(flow) if kind in LINES else None
        encoding = response.headers.get("content-encoding", "")
        try:
            passing = Passing(encoding, lambda read: self._guarded("stream", read), on_line)
        except Unreadable:
            response.stream = True  # it may never end: nobody waits for what we cannot read
            return
        flow.metadata[_PASSING] = passing
        response.stream = passing

    def _line_reader(self, flow: http.HTTPFlow) -> Callable[[bytes], None]:
        return lambda line: self._intake.answered(self._exchange(flow, line))

    def _exchange(self, flow: http.HTTPFlow, line: bytes | None = None) -> Exchange:
        answered = self._intake.clock() if flow.response is not None or flow.error is not None else None
        return exchange(flow, flow.metadata[_ASKED], answered, line)

    def _frame(self, flow: http.HTTPFlow) -> Frame:
        assert flow.websocket is not None
        number = flow.metadata[_FRAMES] = flow.metadata.get(_FRAMES, 0) + 1
        return frame(flow, flow.websocket.messages[-1], number, self._intake.clock())

    def _guarded(self, hook: str, work: Work, begun: float | None = None) -> None:
        """Do the work of a hook that has `begun`, when what was put off is done."""
        begun = begun or perf_counter()
        self._catch_up()
        self._safely(hook, work)
        self._metrics.hooked(hook, perf_counter() - begun)

    def _safely(self, hook: str, work: Work) -> None:
        try:
            work()
        except Exception:
            log.exception("the tap met a surprise in %s; the trader's call is not affected", hook)
            self._metrics.failed(hook)

    def _later(self, work: Work) -> None:
        if not self._waiting:
            self._soon(self._catch_up)
        self._waiting.append(work)

    def _catch_up(self) -> None:
        """What was put off, in its order."""
        while self._waiting:
            self._safely("beside", self._waiting.popleft())


def exchange(flow: http.HTTPFlow, asked: datetime, answered: datetime | None, line: bytes | None = None) -> Exchange:
    """What passed so far, as plain values without secrets; `line` is one line of a reply that has more."""
    captured, response = flow.metadata.get(_REQUEST) or _request(flow, asked), flow.response
    if response is None and flow.error is None:
        return captured
    return replied(
        captured, status=response.status_code if response is not None else None,
        answer=line if line is not None else _answer(flow), answered=answered,
        error=flow.error.msg if flow.error is not None else "",
    )  # fmt: skip


def _request(flow: http.HTTPFlow, asked: datetime) -> Exchange:
    request = flow.request
    path, _, query = request.data.path.decode("utf-8", "replace").partition("?")
    return requested(
        flow=flow.id, method=request.method, scheme=request.scheme, host=request.host, port=request.port, path=path,
        query=query, origin=_page(request), body=_body(request) or b"", asked=asked,
    )  # fmt: skip


def _ask_whole(request: http.Request) -> None:
    """Let a question be answered even if the browser has the answer already: "not modified" shows us nothing.

    What a poll has shown once would never be confirmed by a second one, and a source that is quiet would seem blind.
    """
    for name in CONDITIONS & {name.lower() for name, _ in request.headers.fields}:
        del request.headers[name]


def _page(request: http.Request) -> str:
    """The page that asks: its origin, else what refers to it."""
    refers = b""
    for name, value in request.headers.fields:
        if (lowered := name.lower()) == b"origin" and value:
            return value.decode("latin-1")
        refers = value if lowered == b"referer" else refers
    return refers.decode("latin-1")


def _body(message: http.Message, *, strict: bool = False) -> bytes | None:
    """The decoded body. To ask the library costs more, and most bodies are not encoded."""
    raw = message.raw_content
    if not raw or not any(name.lower() == b"content-encoding" for name, _ in message.headers.fields):
        return raw
    return message.get_content(strict=strict)


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


def _answer(flow: http.HTTPFlow) -> bytes | None:
    """The reply's decoded body; `None` when there is none, or when it cannot be decoded or was cut off."""
    passing = flow.metadata.get(_PASSING)
    if isinstance(passing, Passing):
        return passing.body
    if flow.response is None:
        return None
    try:
        return _body(flow.response, strict=True)
    except ValueError:
        return None
