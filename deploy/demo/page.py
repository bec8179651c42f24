"""A trading page of our own, on a host of its own: what a browser opens to trade with the stand-ins.

The page does what TradingView's does: it calls the broker and Paper Trading from the browser, polls the one and listens
to the other. Opening it logs in to Paper Trading.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from deploy.demo import rows
from deploy.demo.serving import Served
from deploy.demo.web import Answer, Request, Response

FILE = Path(__file__).with_name("page.html")
POLL_MS = 500


class RestSeat(Struct, frozen=True, kw_only=True):
    """How to trade with the broker: `url` is its host with `https://`."""

    url: str
    token: str
    account: str


class PaperSeat(Struct, frozen=True, kw_only=True):
    """How to trade on paper."""

    url: str
    account: int


class PageSettings(Struct, frozen=True, kw_only=True):
    """What the page is told; `poll` is in milliseconds."""

    rest: RestSeat | None = None
    paper: PaperSeat | None = None
    poll: int = POLL_MS


class Page(Served):
    """The host of the page; `session` are the cookies that it gives to whoever opens it."""

    def __init__(self, settings: PageSettings, session: Mapping[str, str]) -> None:
        super().__init__()
        # As it stands inside an HTML element, which `</` would end.
        told = rows.encode(settings).replace(b"<", rb"\u003c")
        self._text = FILE.read_bytes().replace(b"SETTINGS", told, 1)
        self._session = session

    def answer(self, request: Request) -> Answer:
        """The page, and nothing else."""
        if request.method != "GET" or request.path != "/":
            return Response(status=404)
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
        return Response(headers=headers, body=self._text, cookies=self._session)

    def advance(self) -> None:
        """Nothing happens by itself here."""
