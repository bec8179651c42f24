"""Why a server does not serve us, in one line for a person: what is wrong with a certificate, a user or an address,
and which setting mends it.
"""

import errno
import re
import ssl
from collections.abc import Iterator

from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as TimedOut

UNTRUSTED = "its certificate comes from an authority that is not trusted here: name that authority in redis.ca-file"
NO_TLS = "it does not speak TLS at this port: use its TLS port, or redis:// for a server without encryption"
WANTS_OURS = "it wants to see a certificate of ours: set redis.cert-file and redis.key-file"
HUNG_UP = (
    "it hung up on us: a server that speaks nothing but TLS wants rediss://, one that asks for a certificate of ours "
    "redis.cert-file and redis.key-file"
)
_NOBODY = re.compile(r"Error (?:\d+ )?connecting to (\S+)\. (?=.*Connect call failed)")
_REFUSED = re.compile(rf"(?:Error|Errno) {errno.ECONNREFUSED}\b")
STRANGE = "somebody has put something else under the name of one of our keys"
WHOSE = "`tradecopier account list` says whose, and what to do"
WRONG_USER = "it does not know this user or password: see redis.username, redis.password and redis.url"


def plainly(error: BaseException) -> str:
    """What went wrong between us and Redis. Errors of other kinds keep their own words, in one line."""
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return _about_certificate(each)
        if isinstance(each, ssl.SSLError) and (said := _about_encryption(each)) is not None:
            return said
    if (nobody := _NOBODY.match(_line(error))) and _REFUSED.search(_line(error)):
        return f"nobody listens at {nobody[1]}: is it running, or `tradecopier up`?"
    if isinstance(error, TimedOut):
        return f"{_line(error)}: is it there, and does it speak TLS where redis.url begins with rediss://?"
    if any(isinstance(each, ConnectionResetError) for each in _chain(error)):
        return HUNG_UP
    return _answered(error) if isinstance(error, ResponseError | AuthenticationError) else _line(error)


def _answered(error: Exception) -> str:
    """About what the server said of a command."""
    if isinstance(error, AuthenticationError):
        return WRONG_USER
    if isinstance(error, NoPermissionError):
        return f"this user may not do what is needed ({_line(error)}): `tradecopier acl` writes users that may"
    if wrong_type(error):
        return f"{STRANGE}: {WHOSE} ({_line(error)})"
    if str(error).startswith("NOGROUP"):
        return f"an account's group is gone: {WHOSE} ({_line(error)})"
    return _line(error)


def wrong_type(error: Exception) -> bool:
    """Whether a key is something else than what we keep under its name."""
    return "WRONGTYPE" in str(error)  # of a pipeline, the command that met it comes first


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it. Errors that were raised again can lead to each other: each comes once."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _about_certificate(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message.rstrip(".")
    if "mismatch" in said:
        name = re.search(r"'(.+)'", said)
        asked = f" {name[1]}" if name else ""
        return f"its certificate is for another name than{asked}: connect by a name that stands in it"
    if "expired" in said or "not yet valid" in said:
        return f"its certificate is not valid now ({said}): renew it, and compare the clocks"
    return f"{UNTRUSTED} ({said})"


def _about_encryption(error: ssl.SSLError) -> str | None:
    reason = (error.reason or "").upper()
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return WANTS_OURS
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return NO_TLS
    return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
