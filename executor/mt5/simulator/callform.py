"""Sees how a function was called: Python hides an empty `**mapping`, the vendor's package does not.

`order_send(request, **{})` is refused by the vendor's C code, because an empty mapping arrives as "keywords were
given". A Python function cannot see it, so this looks at the caller's own instruction. From Python 3.14 on the
instruction no longer tells, and the form passes.
"""

from __future__ import annotations

import dis
import sys

_WITH_MAPPING = 1


def empty_mapping(depth: int) -> bool:
    """Whether the frame `depth` levels above the caller is calling with `*args, **mapping`."""
    if sys.version_info >= (3, 14):
        return False
    frame = sys._getframe(depth + 1)
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at] == dis.opmap["CALL_FUNCTION_EX"] and bool(code[at + 1] & _WITH_MAPPING)
