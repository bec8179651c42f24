"""The host of the page, asked without a browser; what the page does is tested in a real one."""

import json
import re

from deploy.demo.page import Page, PageSettings, PaperSeat, RestSeat
from deploy.demo.web import Request, Response

REST = RestSeat(url="https://localhost:1", token="</script><b>", account="10001")
PAPER = PaperSeat(url="https://localhost:2", account=1234567)


def asked(page: Page, path: str, method: str = "GET") -> Response:
    answer = page.answer(Request(method=method, path=path, query={}, headers={}, body=b""))
    assert isinstance(answer, Response)
    return answer


def told(page: Page) -> object:
    text = asked(page, "/").body.decode()
    found = re.search(r'id="settings">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


def test_the_page_knows_where_to_trade_and_opening_it_logs_in() -> None:
    page = Page(PageSettings(rest=REST, paper=PAPER, poll=100), {"sessionid": "s"})
    assert told(page) == {
        "rest": {"url": "https://localhost:1", "token": "</script><b>", "account": "10001"},
        "paper": {"url": "https://localhost:2", "account": 1234567},
        "poll": 100,
    }
    assert asked(page, "/").cookies == {"sessionid": "s"}
    page.advance()


def test_there_is_nothing_else() -> None:
    page = Page(PageSettings(), {"sessionid": "s"})
    assert told(page) == {"rest": None, "paper": None, "poll": 500}
    for answer in (asked(page, "/other"), asked(page, "/", "POST")):
        assert (answer.status, answer.cookies) == (404, {})
