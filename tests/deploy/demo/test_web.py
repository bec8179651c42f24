"""Requests and answers as values."""

import pytest

from deploy.demo.web import Response, request


def test_a_request_is_taken_apart_but_for_its_path() -> None:
    asked = request("DELETE", "/a%2Eb?locale=en&x=", {"cookie": "a=1; b=2"}, b"amount=0.05&note=")
    assert (asked.path, asked.query) == ("/a%2Eb", {"locale": "en", "x": ""})
    assert asked.form == {"amount": "0.05", "note": ""}
    assert asked.cookies == {"a": "1", "b": "2"}
    with pytest.raises(ValueError, match="Expecting value"):
        _ = asked.json
    assert request("POST", "/", {}, b'{"id":1}').json == {"id": 1}


def test_cookies_are_set_one_by_one_and_kept_from_scripts() -> None:
    fields = Response(headers={"X": "y"}, cookies={"a": "1", "b": "2"}).fields
    assert fields[0] == ("X", "y")
    assert [(name, value.split(";")[0], "HttpOnly" in value) for name, value in fields[1:]] == [
        ("Set-Cookie", "a=1", True),
        ("Set-Cookie", "b=2", True),
    ]
