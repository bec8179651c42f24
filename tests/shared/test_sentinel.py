"""What a Sentinel says is read by its names."""

import pytest

from shared.sentinel import Primary, primary


def test_the_primary_and_its_epoch_are_found_among_everything_else() -> None:
    reply = [b"name", b"desk", b"ip", b"10.0.0.7", b"port", b"6379", b"flags", b"master", b"config-epoch", b"12"]
    assert primary(reply) == Primary(("10.0.0.7", 6379), 12)


def test_a_reply_that_is_cut_short_is_no_answer() -> None:
    with pytest.raises(ValueError, match="shorter"):
        primary([b"ip", b"10.0.0.7", b"port"])
