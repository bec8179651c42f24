"""One captured request with its reply, or one websocket frame, as plain values that hold no secret.

`capture` is the only way in: it takes the URL apart, keeps the two headers that say who asked, and removes secrets
from queries and bodies, so that nothing behind it (journal, picture, stream, recording) can leak what never came.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

JSON = Any
"""A decoded JSON value; numbers with a point are Decimal, those without are int."""

SECRETS = frozenset(
    {
        "authorization", "cookie", "set-cookie", "digitalsignature", "password", "passwd", "secret", "token",
        "access_token", "refresh_token", "id_token", "accesstoken", "refreshtoken", "client_secret", "code",
        "state_token",
        "code_verifier", "sessionid", "sessionid_sign", "device_t", "signature", "api_key", "apikey", "otp", "pin",
    }
)  # fmt: skip
"""Field names, in lower case, whose values never enter."""

_NAMES = tuple(name for name in SECRETS if not any(other in name for other in SECRETS - {name}))
"""Where none of these is, none of SECRETS is: the others hold one of them."""
_MARKS = tuple(name.encode() for name in _NAMES)
_HINTS = re.compile(b"|".join(_MARKS))
"""The same: where what is looked through is short, code that has not run for a while finds nothing in half the time."""
SHORT = 1024
"""Bytes up to which that is so; every trading call waits for it."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)

CLOSED_PATHS = frozenset({"authorize", "logout", "token", "oauth", "oauth2"})
"""Last path segments whose bodies are credentials through and through; they are not kept at all."""


class Exchange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request and, once it is there, its reply.

    `flow` names the exchange for ever. `asked` is when the whole request had come in, `answered` when the whole
    reply had (UTC). `status` and `answer` are `None` as long as there is no reply; `error` says why there will be
    none. Bodies are decoded from gzip and the like; `query` and `path` are as they were sent, secrets removed.
    """

    flow: str
    method: str
    scheme: str
    host: str
    port: int
    path: str
    asked: datetime
    query: str = ""
    origin: str = ""
    body: bytes = b""
    status: int | None = None
    answer: bytes | None = None
    answered: datetime | None = None
    error: str = ""

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's segments, each URL-decoded; an id may hold dots, a slash only when it was written `%2F`."""
        return path_segments(self.path)


@lru_cache(maxsize=256)
def path_segments(path: str) -> tuple[str, ...]:
    """The segments of a path, each URL-decoded."""
    return tuple(unquote(s) for s in path.split("/") if s)


class Frame(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One websocket message. `at` is when it had come in (UTC), `flow` is unique per message."""

    flow: str
    host: str
    port: int
    path: str
    at: datetime
    text: bytes
    from_client: bool = False


def capture(
    *,
    flow: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    asked: datetime,
    status: int | None = None,
    answer: bytes | None = None,
    answered: datetime | None = None,
    error: str = "",
) -> Exchange:
    """Build an exchange from what a proxy sees. Header names are in lower case. ValueError: the URL has no host."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("the URL has no host")
    request = requested(
        flow=flow, method=method, scheme=parts.scheme, host=parts.hostname,
        port=parts.port or (80 if parts.scheme == "http" else 443), path=parts.path, query=parts.query,
        origin=headers.get("origin") or headers.get("referer") or "", body=body, asked=asked,
    )  # fmt: skip
    if status is None and answer is None and answered is None and not error:
        return request
    return replied(request, status=status, answer=answer, answered=answered, error=error)


def requested(
    *, flow: str, method: str, scheme: str, host: str, port: int, path: str, query: str, origin: str, body: bytes,
    asked: datetime,
) -> Exchange:  # fmt: skip
    """A request that has no reply yet; `origin` is the URL of the page that asks. Secrets are removed."""
    return Exchange(
        flow=flow, method=method.upper(), scheme=scheme.lower(), host=host.lower(), port=port, path=path,
        query=scrub_form(query), origin=site(origin), asked=asked, body=kept(path, body),
    )  # fmt: skip


def replied(
    request: Exchange, *, status: int | None, answer: bytes | None, answered: datetime | None, error: str = ""
) -> Exchange:
    """The exchange with what came of its request; secrets are removed from the answer."""
    answer = kept(request.path, answer) if answer is not None else None
    return replace(request, status=status, answer=answer, answered=answered, error=error)


def kept(path: str, body: bytes) -> bytes:
    """What is kept of a request's or a reply's body: nothing on a closed path, else all but the secrets."""
    return scrub(body) if body and path.rstrip("/").rpartition("/")[2].lower() not in CLOSED_PATHS else b""


@lru_cache(maxsize=64)
def site(url: str) -> str:
    """Scheme and host of an Origin or Referer; the rest may hold what is private."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else ""
    except ValueError:
        return ""


def scrub(body: bytes) -> bytes:
    """The body without the fields of SECRETS, at any depth of JSON or in a form; unchanged when there are none."""
    if not _marks_a_secret(body.lower()):
        return body
    if body.lstrip()[:1] in (b"{", b"["):
        return _scrub_json(body)
    return scrub_form(body.decode("utf-8", "replace")).encode()


def scrub_form(text: str) -> str:
    """The urlencoded text without the fields of SECRETS; unchanged when there are none."""
    if "%" not in text and not _marks_a_secret(text.lower().encode("utf-8", "replace")):
        return text
    pairs = parse_qsl(text, keep_blank_values=True)
    kept = [(k, v) for k, v in pairs if k.strip().lower() not in SECRETS]
    return text if len(kept) == len(pairs) else urlencode(kept)


def _marks_a_secret(lowered: bytes) -> bool:
    """Whether something in there may be one."""
    if len(lowered) <= SHORT:
        return _HINTS.search(lowered) is not None
    return any(mark in lowered for mark in _MARKS)


def _scrub_json(body: bytes) -> bytes:
    """Broken JSON that names a secret is dropped whole: it cannot be read, so it is of no use either."""
    try:
        return _ENCODER.encode(_without_secrets(json.loads(body, parse_float=Decimal)))
    except (ValueError, RecursionError, InvalidOperation, OverflowError):
        return b""


def _without_secrets(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {k: _without_secrets(v) for k, v in value.items() if k.strip().lower() not in SECRETS}
    if isinstance(value, list):
        return [_without_secrets(v) for v in value]
    return value


def read_form(body: bytes | str) -> dict[str, str]:
    """The fields of an urlencoded body or query; of a repeated one the last."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=1000))
    except ValueError:
        return {}


def read_json(body: bytes | None) -> JSON:
    """The JSON value in `body`, or `None` where there is none, it is broken, or it holds NaN or Infinity."""
    try:
        return _DECODER.decode(body or b"")
    except (ValueError, RecursionError, InvalidOperation):
        return _read_oddly(body)


def _read_oddly(body: bytes | None) -> JSON:
    """The same for what only a lenient reader takes: a byte order mark, half of a surrogate pair."""
    try:
        return json.loads(body or b"", parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError, InvalidOperation):
        return None


def _refuse(constant: str) -> JSON:
    raise ValueError(f"{constant} is not a number")


def number(value: object) -> Decimal | None:
    """A finite number from a form's text or a JSON value, else `None` (also for true and false).

    Bounded to what any price or size can be, so that no later sum overflows.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
        return None
    return _number(value.strip() if isinstance(value, str) else str(value))


_DOUBLE = Context(prec=15)
"""So many digits of a double can be relied on: pages and brokers calculate with them, and 0.3 - 0.1 has 17."""


@lru_cache(maxsize=4096)
def _number(digits: str) -> Decimal | None:
    try:
        found = Decimal(digits)
    except (InvalidOperation, ValueError):
        return None
    if not found.is_finite() or not (-18 <= found.adjusted() <= 15 or found == 0) or len(found.as_tuple().digits) > 34:
        return None
    return plain(_DOUBLE.plus(found))


def plain(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent (100, never 1E+2)."""
    if not value:
        return Decimal(0)
    shortest = value.normalize()
    exponent = shortest.as_tuple().exponent
    return shortest.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else shortest
