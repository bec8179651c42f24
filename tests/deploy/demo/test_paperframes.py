"""The text of frames, as odd as the real ones."""

import json

from deploy.demo.paperframes import ALERT_EVERY, Frames

SAID = {"id": 7, "parent": 6, "qty": -5, "symbol": "A:B"}


def test_frames_are_those_of_the_trading_channel() -> None:
    (text,) = Frames(odd=False).of(1234567, "order_update", SAID)
    assert json.loads(text) == {
        "text": {"channel": "trading", "content": {"m": "order_update", "p": SAID, "accountId": 1234567}}
    }


def test_ids_are_numbers_and_text_in_turn_and_other_channels_come_between() -> None:
    frames = Frames(odd=True)
    told = [json.loads(text)["text"] for _ in range(2 * ALERT_EVERY) for text in frames.of(1234567, "x", SAID)]
    assert [each["channel"] for each in told].count("alerts") == 2
    contents = [each["content"] for each in told if each["channel"] == "trading"]
    assert [(c["p"]["id"], c["p"]["parent"], c["accountId"]) for c in contents[:2]] == [
        (7, 6, 1234567),
        ("7", "6", "1234567"),
    ]
    assert {c["p"]["qty"] for c in contents} == {-5}
