"""What leaves this machine in a recording holds nothing that opens an account: stricter than what the journal keeps.

Traffic that nobody knows may hold a secret under any name, so there every value is masked as well in which a word looks
like one: long, letters and digits mixed. Text that is JSON, or an address, is looked into. What is masked says how long
it was, since that can matter.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec
from msgspec.structs import replace

from ingest.exchange import JSON, Exchange, Frame, read_json

_NAMES = r"auth|token|secret|passw|cookie|session|signature|jwt|api_?key|otp|credential|csrf"
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_SECRET_PART = re.compile(
    rf"[?&#;][^=&?#;\s]{{0,40}}(?:{_NAMES}|code)[^=&?#;\s]{{0,40}}=|://[^/\s@]{{1,200}}@|\bbearer\s", re.IGNORECASE
)
"""In an address or a header that stands in a text: a field named like a secret, a password before the host."""
_WORD = re.compile(r"[\w.~+/=-]{20,}", re.ASCII)
_LETTER, _DIGIT = re.compile(r"[A-Za-z]"), re.compile(r"\d")
_PRIVATE_CHANNEL = re.compile(r"private_(?!feed(?:[/?]|$))[^/?]+")
"""Older push channels have a secret for a name."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")

Mask = Callable[[str, str], bool]
"""Whether the value under that name is to be masked."""


def redacted(heard: Exchange | Frame, *, is_known: bool) -> Exchange | Frame:
    """The same without what is, or could be, a secret; `is_known` traffic is masked by the names of fields alone."""
    mask = _by_name if is_known else _by_look
    if isinstance(heard, Frame):
        path = _PRIVATE_CHANNEL.sub("private_(…)", heard.path)
        return replace(heard, path=_path(path, _by_look), text=_body(heard.text, mask))
    answer = None if heard.answer is None else _body(heard.answer, mask)
    return replace(
        heard, path=_path(heard.path, mask), query=_form(heard.query, mask), body=_body(heard.body, mask), answer=answer
    )


def _by_name(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(name) or _SECRET_PART.search(value))


def _by_look(name: str, value: str) -> bool:
    return _by_name(name, value) or _looks_secret(value)


def _looks_secret(text: str) -> bool:
    return any(_LETTER.search(word) and _DIGIT.search(word) for word in _WORD.findall(text))


def _masked(value: str) -> str:
    return f"({len(value)} characters)"


def _path(path: str, mask: Mask) -> str:
    place, mark, query = path.partition("?")
    parts = (quote(_masked(p)) if mask("", unquote(p)) else p for p in place.split("/"))
    return "/".join(parts) + mark + _form(query, mask)


def _form(text: str, mask: Mask) -> str:
    pairs = parse_qsl(text, keep_blank_values=True)
    clean = [(_name(name, mask), _text(name, value, mask)) for name, value in pairs]
    return text if clean == pairs else urlencode(clean)


def _name(name: str, mask: Mask) -> str:
    """A name is masked when it looks like a secret itself, which is not said by what it is called."""
    return _masked(name) if mask("", name) else name


def _text(name: str, value: str, mask: Mask) -> str:
    """A value that is text: JSON in it is opened."""
    if not mask(name, "") and value.lstrip()[:1] in ("{", "["):
        found = read_json(value.encode("utf-8", "replace"))
        if isinstance(found, dict | list):
            return value if (clean := _json("", found, mask)) == found else _ENCODER.encode(clean).decode()
    return _masked(value) if mask(name, value) else value


def _body(body: bytes, mask: Mask) -> bytes:
    """A body that is neither JSON nor a form is left out: nobody can tell what is in it."""
    found = read_json(body)
    if isinstance(found, dict | list):
        return _ENCODER.encode(_json("", found, mask))
    try:
        text = body.decode("ascii")
        parse_qsl(text, strict_parsing=True)
    except ValueError:
        return body if not body.strip() else _masked(body.decode("latin-1")).encode()
    return _form(text, mask).encode()


def _json(name: str, value: JSON, mask: Mask) -> JSON:
    match value:
        case dict():
            return {_name(key, mask): _json(key, entry, mask) for key, entry in value.items()}
        case list():
            return [_json(name, entry, mask) for entry in value]
        case bool() | None:
            return value
        case str():
            return _text(name, value, mask)
        case int() | Decimal() if mask(name, ""):
            return _masked(json.dumps(str(value)))
        case _:
            return value
