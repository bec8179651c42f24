"""A HAR file, and the websocket messages in it, where browsers keep them beside the standard; mitmproxy reads the rest.

Paper Trading says its fills there. Each entry that is a websocket has `_webSocketMessages`, each with its time in
seconds since 1970.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingest.exchange import Frame

BEGINS_WITH = (b"{", b"\xef\xbb\xbf{")
"""A HAR file is a JSON object, with or without a byte order mark; mitmproxy's own files are not."""


def frames(path: Path) -> Iterator[tuple[datetime, Frame]]:
    """The messages with their moments; none where the file is no HAR file or says nothing of them."""
    for number, entry in enumerate(entries(path) or ()):
        yield from _frames(entry, number)


def entries(path: Path) -> list[Any] | None:
    """The entries as they stand in it; `None` where the file is no HAR file."""
    content = path.read_bytes()
    if not content.startswith(BEGINS_WITH):
        return None
    try:
        found = json.loads(content.decode("utf-8-sig"))["log"]["entries"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, list) else None


def _frames(entry: Any, number: int) -> Iterator[tuple[datetime, Frame]]:
    messages = entry.get("_webSocketMessages") if isinstance(entry, dict) else None
    for count, message in enumerate(messages if isinstance(messages, list) else ()):
        try:
            frame = _frame(entry["request"]["url"], message, f"websocket{number}/{count}")
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        yield frame.at, frame


def _frame(url: str, message: dict[str, Any], name: str) -> Frame:
    parts = urlsplit(url)
    return Frame(
        flow=name, host=(parts.hostname or "").lower(), port=parts.port or (80 if parts.scheme == "ws" else 443),
        path=parts.path, at=datetime.fromtimestamp(float(message["time"]), UTC), text=str(message["data"]).encode(),
        from_client=message.get("type") == "send",
    )  # fmt: skip
