"""Expectations: one knock, one connection, from one place, with the right proof, in time."""

import asyncio
import os
import socket
from dataclasses import replace

import pytest

from broker.gateway import knocks as module
from broker.gateway.knocks import Expectation, Expectations, NotExpected, listener, plain_address
from broker.gateway.testing import expect_message, knock, wall_ms
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.gateway.folders import short_folder


def test_a_proof_claims_its_knock_once() -> None:
    table = Expectations()
    expected, proof = knock()
    table.expect(expected)
    assert table.claim(proof, 2, "127.0.0.1") == expected
    with pytest.raises(NotExpected, match="unknown_knock"):
        table.claim(proof, 2, "127.0.0.1")


@pytest.mark.parametrize(
    ("door", "source", "reason"), [(1, "127.0.0.1", "wrong_proof"), (2, "127.0.0.2", "wrong_address")]
)
def test_a_proof_counts_for_its_door_and_address_and_is_not_used_up_by_others(
    door: int, source: str, reason: str
) -> None:
    table = Expectations()
    expected, proof = knock()
    table.expect(expected)
    with pytest.raises(NotExpected, match=reason):
        table.claim(proof, door, source)
    assert table.claim(proof, 2, "::ffff:127.0.0.1") == expected


def test_a_wrong_proof_does_not_use_the_knock_up_until_it_was_tried_too_often() -> None:
    table = Expectations()
    expected, proof = knock()
    table.expect(expected)
    wrong = proof[:-1] + bytes([proof[-1] ^ 1])
    for _ in range(7):
        with pytest.raises(NotExpected, match="wrong_proof"):
            table.claim(wrong, 2, "127.0.0.1")
    assert table.claim(proof, 2, "127.0.0.1")
    table.expect(expected)
    for _ in range(8):
        with pytest.raises(NotExpected):
            table.claim(wrong, 2, "127.0.0.1")
    with pytest.raises(NotExpected, match="unknown_knock"):
        table.claim(proof, 2, "127.0.0.1")


@pytest.mark.parametrize("proof", [b"", bytes(47), bytes(49)])
def test_a_proof_of_another_length_is_none(proof: bytes) -> None:
    with pytest.raises(NotExpected, match="malformed"):
        Expectations().claim(proof, 2, "127.0.0.1")


def test_time_ends_an_expectation() -> None:
    now = [wall_ms()]
    table = Expectations(lambda: now[0])
    expected, proof = knock(seconds=10)
    table.expect(expected)
    now[0] = expected.expires_at_ms
    with pytest.raises(NotExpected, match="expired"):
        table.claim(proof, 2, "127.0.0.1")
    with pytest.raises(ValueError, match="over"):
        table.expect(expected)
    with pytest.raises(ValueError, match="longer"):
        table.expect(replace(expected, expires_at_ms=now[0] + 61_000))


def test_the_table_is_bounded_and_forgets_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EXPECTED", 2)
    now = [wall_ms()]
    table = Expectations(lambda: now[0])
    for _ in range(2):
        table.expect(knock(seconds=10)[0])
    with pytest.raises(ValueError, match="too many"):
        table.expect(knock(seconds=10)[0])
    now[0] += 20_000
    table.expect(knock(seconds=40)[0])
    assert len(table) == 1


def test_an_expectation_is_read_strictly() -> None:
    expected, _ = knock()
    message = expect_message(expected)
    assert Expectation.from_json(message) == expected
    for name in message:
        if name == "type":
            continue
        with pytest.raises(ValueError, match=r".*"):
            Expectation.from_json({**message, name: 5.5})
    with pytest.raises(ValueError, match="length"):
        Expectation.from_json({**message, "bind_hex": "00"})


def test_addresses_have_one_spelling() -> None:
    assert plain_address("::ffff:10.0.0.1") == "10.0.0.1"
    assert plain_address("FE80::1%eth0") == "fe80::1"


@pytest.mark.parametrize(("uid", "served"), [(os.getuid(), True), (os.getuid() + 1, False)])
async def test_only_the_guard_may_announce_knocks(uid: int, *, served: bool) -> None:
    table = Expectations()
    with short_folder() as folder:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(folder / "k"))
        sock.listen()
        task = asyncio.create_task(listener(table, uid).serve(sock))
        try:
            reader, writer = await asyncio.open_unix_connection(folder / "k")
            expected, _ = knock()
            writer.write(encode(expect_message(expected)) + encode({"type": "dance", "knock_id": "x", "id": 3}))
            answers: list[dict[str, object]] = []
            decoder = Decoder()
            try:
                while len(answers) < 2 and (data := await reader.read(4096)):
                    answers += decoder.feed(data)
            except ConnectionError:
                pass
            writer.transport.abort()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            sock.close()
    assert len(table) == int(served)
    if served:
        assert answers[0] == {"v": 1, "type": "expecting", "knock_id": expected.knock_id}
        assert (answers[1]["type"], answers[1]["id"]) == ("refused", 3)
