"""The proxy's addon: what passes on a trading host becomes plain values for the intake. Guard clauses, no decisions.

A trading request is on disk before it is forwarded, and its reply is on disk before the browser has it. All else (what
the reply means, what a poll shows, that a request waits) holds up nobody: it is looked at right after, and before
whatever passes next. A disk that is slow holds up that call alone, one that hangs for a second at most. A surprise in
here is logged and counted and never reaches the proxy: the trader's call goes its way whatever happens to ours.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from time import perf_counter

from mitmproxy import http

from ingest.exchange import Exchange, Frame, kept, replied
from ingest.flows import ASKED, PASSING, REQUEST, answer, ask_whole, exchange, frame, request
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.streaming import Passing, Unreadable

log = logging.getLogger(__name__)

_FRAMES = "tradecopier.frames"

Work = Callable[[], None]

REFUSAL = b"TradeCopier: this host is only reached by HTTPS, so that nobody reads or changes an order on its way.\n"

LINES = ("application/x-ndjson", "application/jsonl", "application/stream+json", "text/event-stream")
"""Content types of replies that say something with every line and may never end."""

UNCOUNTED = 64
"""So many hooks may have run without their time being counted, when none of them puts anything off."""


class Tap:
    """To be added to the proxy; hands over to `intake` what concerns its hosts."""

    def __init__(self, intake: Intake, metrics: Metrics, soon: Callable[[Work], object] | None = None) -> None:
        """`soon` has work done when nothing is held up by it; by default the event loop's next round."""
        self._intake = intake
        self._metrics = metrics
        self._soon = soon or _next_round
        self._waiting: deque[Work] = deque()
        self._took: list[tuple[str, float]] = []
        intake.put_off(self._later)

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """A whole request came in; it is forwarded when this is done."""
        begun = perf_counter()
        if not self._is_ours(flow):
            return None
        if flow.request.data.scheme != b"https":
            flow.response = http.Response.make(403, REFUSAL, {"content-type": "text/plain"})
            return None
        flow.metadata[ASKED] = self._intake.clock()
        return self._guarded("request", self._asked, flow, begun)

    def _asked(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        if flow.request.method == "GET":
            ask_whole(flow.request)
            return None
        captured = request(flow, flow.metadata[ASKED])
        flow.metadata[REQUEST] = captured  # the reply is told of the same request, which is not read twice
        if not self._intake.journal(captured):
            return None
        self._later(partial(self._intake.forwarded, captured))
        return self._on_disk("request")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """A reply begins. One to a question, without a length, passes at once and is read meanwhile."""
        begun = perf_counter()
        response, is_question = flow.response, flow.request.data.method == b"GET"
        if (
            self._is_captured(flow)
            and is_question
            and response is not None
            and "content-length" not in response.headers
        ):
            self._guarded("responseheaders", self._let_pass, flow, begun)

    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """A whole reply came in; it passes when this is done, unless it did already."""
        begun = perf_counter()
        if not self._is_captured(flow) or flow.websocket is not None:
            return None
        return self._guarded("response", self._replied, flow, begun)

    def _replied(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        at = self._intake.clock()
        if not self._intake.awaits(flow.id):
            self._later(partial(self._answered, flow, at))
            return None
        assert flow.response is not None, "it came"
        asked, status, said = flow.metadata[REQUEST], flow.response.data.status_code, answer(flow)
        self._later(partial(self._read, asked, status, said, at))
        said = None if said is None else kept(asked.path, said)
        self._intake.reply(flow.id, status=status, answer=said, answered=at)
        return self._on_disk("response")

    def _read(self, asked: Exchange, status: int, said: bytes | None, at: datetime) -> None:
        self._intake.answered(replied(asked, status=status, answer=said, answered=at))

    def _answered(self, flow: http.HTTPFlow, at: datetime) -> None:
        self._intake.answered(exchange(flow, flow.metadata[ASKED], at))

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
            self._guarded("error", self._failed, flow, perf_counter())

    def _failed(self, flow: http.HTTPFlow) -> None:
        self._intake.answered(self._exchange(flow))

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """A websocket message came in. It is not kept on the flow, which can live for days."""
        if self._is_captured(flow) and flow.websocket is not None:
            self._guarded("websocket_message", self._seen, flow, perf_counter())
        if flow.websocket is not None:
            flow.websocket.messages.clear()

    def _seen(self, flow: http.HTTPFlow) -> None:
        self._intake.seen(self._frame(flow))

    def _is_ours(self, flow: http.HTTPFlow) -> bool:
        request = flow.request.data
        host = request.host.lower()
        if request.scheme == b"https":
            return self._intake.opens(host, request.port)
        return host in {name for name, _ in self._intake.opened()}

    def _is_captured(self, flow: http.HTTPFlow) -> bool:
        return ASKED in flow.metadata

    def _let_pass(self, flow: http.HTTPFlow) -> None:
        response = flow.response
        assert response is not None, "it begins"
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        on_line = self._line_reader(flow) if kind in LINES else None
        encoding = response.headers.get("content-encoding", "")
        try:
            passing = Passing(encoding, lambda read: self._streamed(flow, read), on_line)
        except Unreadable:
            response.stream = True  # it may never end: nobody waits for what we cannot read
            return
        flow.metadata[PASSING] = passing
        response.stream = passing

    def _streamed(self, flow: http.HTTPFlow, read: Work) -> None:
        self._guarded("stream", lambda _: read(), flow, perf_counter())

    def _line_reader(self, flow: http.HTTPFlow) -> Callable[[bytes], None]:
        return lambda line: self._intake.answered(self._exchange(flow, line))

    def _exchange(self, flow: http.HTTPFlow, line: bytes | None = None) -> Exchange:
        answered = self._intake.clock() if flow.response is not None or flow.error is not None else None
        return exchange(flow, flow.metadata[ASKED], answered, line)

    def _frame(self, flow: http.HTTPFlow) -> Frame:
        assert flow.websocket is not None
        number = flow.metadata[_FRAMES] = flow.metadata.get(_FRAMES, 0) + 1
        return frame(flow, flow.websocket.messages[-1], number, self._intake.clock())

    def _guarded(
        self, hook: str, work: Callable[[http.HTTPFlow], Awaitable[None] | None], flow: http.HTTPFlow, begun: float
    ) -> Awaitable[None] | None:
        """Do the work of a hook that has `begun`, when what was put off is done; what the proxy has to wait for."""
        found = None
        if self._waiting:
            self._catch_up()
        try:
            found = work(flow)
        except Exception as error:  # noqa: BLE001  told in there
            self._surprised(hook, error)
        self._took.append((hook, perf_counter() - begun))
        if len(self._took) == UNCOUNTED:
            self._soon(self._round)
        return found

    def _surprised(self, hook: str, error: Exception) -> None:
        log.error("the tap met a surprise in %s; the trader's call is not affected", hook, exc_info=error)
        self._metrics.failed(hook)

    def _later(self, work: Work) -> None:
        if not self._waiting:
            self._soon(self._round)
        self._waiting.append(work)

    def _round(self) -> None:
        """What holds up neither a request nor a reply; to count how long those were held up is part of it."""
        begun = perf_counter()
        self._catch_up()
        for hook, seconds in self._took:
            self._metrics.hooked(hook, seconds)
        self._took.clear()
        self._metrics.worked(perf_counter() - begun)

    def _catch_up(self) -> None:
        """What was put off, in its order."""
        while self._waiting:
            try:
                self._waiting[0]()
            except Exception as error:  # noqa: BLE001  told in there
                self._surprised("beside", error)
            self._waiting.popleft()  # what it puts off itself is done here, without another round


def _next_round(work: Work) -> None:
    asyncio.get_running_loop().call_soon(work)
