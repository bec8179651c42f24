"""The text of the frames that Paper Trading's private feed pushes, with the oddities that a reader has to live with."""

from deploy.demo import rows
from deploy.demo.paperrows import Row

ALERT = '{"text":{"channel":"alerts","content":{"m":"alert_fired","p":{"id":71,"name":"EURUSD crossing 1.08"}}}}'
"""What the same socket carries, too, and nobody who copies trades may read."""
ALERT_EVERY = 5


class Frames:
    """Makes the frames of one feed; `odd`: other channels between, ids as numbers and as text in turn."""

    def __init__(self, *, odd: bool) -> None:
        self._odd = odd
        self._count = 0

    def of(self, account: int, name: str, said: Row) -> list[str]:
        """The frames to send for one thing that happened."""
        self._count += 1
        as_text = self._odd and self._count % 2 == 0
        content = {"m": name, "p": _ids_as_text(said) if as_text else said, "accountId": account}
        if as_text:
            content["accountId"] = str(account)
        frame = rows.encode({"text": {"channel": "trading", "content": content}}).decode()
        return [ALERT, frame] if self._odd and self._count % ALERT_EVERY == 0 else [frame]


def _ids_as_text(said: Row) -> Row:
    return {name: str(value) if name in ("id", "parent", "close-date") else value for name, value in said.items()}
