"""A server that does not serve us is one line that says which setting mends it."""

import ssl

import pytest
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TimedOut

from shared.plainly import HUNG_UP, NO_TLS, UNTRUSTED, WANTS_OURS, WHOSE, WRONG_USER, plainly, wrong_type


def unverified(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = message
    return error


def refused(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


CASES: dict[str, tuple[Exception, str]] = {
    "an unknown authority": (unverified("unable to get local issuer certificate"), UNTRUSTED),
    "itself as its authority": (unverified("self-signed certificate"), UNTRUSTED),
    "another name": (
        unverified("Hostname mismatch, certificate is not valid for 'redis.one'."), "another name than redis.one",
    ),
    "another address": (unverified("IP address mismatch, certificate is not valid for '127.0.0.1'."), "than 127.0.0.1"),
    "an old certificate": (unverified("certificate has expired"), "not valid now"),
    "no encryption": (refused("WRONG_VERSION_NUMBER"), NO_TLS),
    "a server that hangs up": (ConnectionResetError(104, "Connection reset by peer"), HUNG_UP),
    "no certificate of ours": (refused("TLSV13_ALERT_CERTIFICATE_REQUIRED"), WANTS_OURS),
}  # fmt: skip


@pytest.mark.parametrize(("cause", "line"), CASES.values(), ids=CASES)
def test_the_cause_behind_a_lost_connection_is_said(cause: Exception, line: str) -> None:
    lost = Disconnected("Error 1 connecting to server")
    lost.__context__ = cause

    assert line in plainly(lost)
    assert line in plainly(cause)
    assert "\n" not in plainly(lost)


def test_a_user_that_is_unknown_or_may_too_little() -> None:
    assert plainly(AuthenticationError("WRONGPASS invalid username-password pair")) == WRONG_USER
    assert "`tradecopier acl`" in plainly(NoPermissionError("User x has no permissions to run 'xadd'"))


def test_a_server_that_is_not_there() -> None:
    one = "[Errno 111] Connect call failed ('127.0.0.1', 6379)"
    for reason in ("111 connecting to desk:6379. Connect call failed ('127.0.0.1', 6379).",
                   f"connecting to desk:6379. Multiple exceptions: {one}, {one}."):  # fmt: skip
        assert (
            plainly(Disconnected(f"Error {reason}"))
            == "nobody listens at desk:6379: is it running, or `tradecopier up`?"
        )


def test_what_sentinels_say_is_said_whole() -> None:
    text = "0 of 2 Sentinels know desk (one:1: Error 111 connecting to one:1. Connect call failed ('127.0.0.1', 1).)"
    assert plainly(Disconnected(text)) == text


def test_a_server_that_says_nothing_may_not_speak_tls() -> None:
    assert "does it speak TLS" in plainly(TimedOut("Timeout connecting to server"))


def test_everything_else_keeps_its_words_in_one_line() -> None:
    assert plainly(Disconnected("one\ntwo")) == "one two"
    assert plainly(TimeoutError()) == "TimeoutError"


@pytest.mark.timeout(10)
def test_errors_that_led_to_each_other_are_one_line_too() -> None:
    first, second = Disconnected("connection lost"), Disconnected("again")
    first.__cause__, second.__cause__ = second, first

    assert plainly(first) == "connection lost"


@pytest.mark.parametrize(
    ("said", "strange"),
    [
        ("WRONGTYPE Operation against a key holding the wrong kind of value", True),
        ("Command # 1 (HGETALL k) of pipeline caused error: ('WRONGTYPE Operation against a key',)", True),
        ("NOGROUP No such key 'a' or consumer group 'b'", False),
    ],
)
def test_what_stands_in_place_of_a_key_or_is_gone_leads_to_the_account(said: str, strange: bool) -> None:
    error = ResponseError(said)
    assert plainly(error).endswith(f"{WHOSE} ({said})")
    assert wrong_type(error) is strange


def test_what_else_a_server_says_is_told_in_its_words() -> None:
    assert plainly(ResponseError("OOM command not allowed")) == "OOM command not allowed"
