"""A namespace has one slot, and a node's table says who has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from deploy.acl import ACCOUNT_PARTS, SOURCE_PARTS
from shared.cluster import Node, nodes, slot
from shared.streams import Keys

NAMES = st.from_regex(r"\A[a-z0-9-]{1,30}\Z")


def test_slots_are_those_of_the_specification() -> None:
    """CRC16 of the standard's check value is 0x31C3."""
    assert slot("123456789") == 0x31C3 % 16384


@given(NAMES, NAMES)
def test_every_key_of_a_namespace_is_in_its_slot(namespace: str, name: str) -> None:
    keys = Keys(namespace)
    found = {keys.orders, keys.outcomes, keys.dead, keys.producers}
    found |= {keys.account(part, name) for part in ACCOUNT_PARTS} | {keys.source(part, name) for part in SOURCE_PARTS}
    assert {key_slot(key.encode()) for key in found} == {slot(namespace)}


def test_namespaces_spread() -> None:
    thirds = [slot(f"desk-{number}") * 3 // 16384 for number in range(300)]
    assert all(60 < thirds.count(third) < 140 for third in range(3))


TABLE = """\
07c37df 10.0.0.4:30004@31004,four slave e7d1eec 0 1426238317239 4 connected
67ed2db :30002@31002,,shard-id=9 master - 0 1426238316232 2 connected 5461-10922 16000 [5461->-e7d1eec]
292f8b3 fe80::3:30003@31003 master,fail - 1426238316232 1426238315000 3 disconnected 10923-15999
e7d1eec 10.0.0.1:30001@31001,one.example,tls-port=7 myself,master - 0 0 1 connected 0-5460
aaaaaaa :0@0 master,noaddr - 0 0 9 disconnected 7
bbbbbbb 10.0.0.9:30009@31009 handshake - 0 0 0 disconnected
"""


def test_a_table_is_read_line_by_line() -> None:
    assert list(nodes(TABLE, "asked")) == [
        Node(("four", 30004), 4, ()),
        Node(("asked", 30002), 2, ((5461, 10922), (16000, 16000))),
        Node(("fe80::3", 30003), 3, ((10923, 15999),)),
        Node(("one.example", 30001), 1, ((0, 5460),)),
    ]


@pytest.mark.parametrize(("which", "owner"), {0: 30001, 5460: 30001, 5461: 30002, 15999: 30003, 16000: 30002}.items())
def test_a_slot_has_one_owner(which: int, owner: int) -> None:
    assert [node.address[1] for node in nodes(TABLE, "asked") if node.owns(which)] == [owner]
