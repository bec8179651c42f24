"""Marks an entry of the orders stream that was put back for an account which had lost it.

Everybody reads it, and those who passed its fact long ago would take it for a copy. The mark is signed, bound to the
signature of the entry, so that nobody else can pass a copy off as one.
"""

from shared.wire import Codec, Fields

FIELD = b"r"


def returned(codec: Codec, fields: Fields) -> dict[bytes, bytes]:
    """The fields of an entry, marked as put back."""
    return {**fields, FIELD: codec.seal(_scope(fields), b"")}


def is_returned(codec: Codec, fields: Fields) -> bool:
    """Whether one of ours has put the entry back."""
    return FIELD in fields and codec.opened(_scope(fields), fields[FIELD]) is not None


def _scope(fields: Fields) -> str:
    return f"returned:{fields.get(b's', b'').decode('ascii', 'replace')}"
