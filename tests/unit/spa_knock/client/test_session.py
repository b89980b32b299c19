"""What the agent holds: idle end, certificates in their order, renewal in time."""

from spa_knock.client.keys import SshCertificate
from spa_knock.client.session import HeldCertificate, Holder, Session


class Clock:
    """Both clocks of a holder; they stand still unless moved."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.wall = 1_000_000.0

    def holder(self) -> Holder:
        return Holder(lambda: self.monotonic, lambda: self.wall)


def session(*, offset_ms: int = 0) -> Session:
    return Session(token="t0ken", idle_seconds=900, person={"id": "psn_1"}, site_offset_ms=offset_ms)


def held(grant_id: str, target: str = "plc3", *, seconds: int = 300, account: str | None = "root") -> HeldCertificate:
    certificate = SshCertificate(grant_id.encode(), 1, 999_940, 1_000_000 + seconds)
    return HeldCertificate(grant_id, target, account, certificate)


def test_a_session_ends_when_it_was_idle_too_long() -> None:
    clock = Clock()
    holder = clock.holder()
    holder.sign_in(session())
    clock.monotonic += 899
    assert holder.use() is not None
    clock.monotonic += 899
    assert holder.current() is not None
    clock.monotonic += 1
    assert holder.current() is None
    assert holder.use() is None
    assert holder.identities()[0] == []
    assert holder.find("plc3", None) is None


def test_looking_is_no_use() -> None:
    clock = Clock()
    holder = clock.holder()
    holder.sign_in(session())
    for _ in range(3):
        clock.monotonic += 300
        found = holder.current()
    assert found is None


def test_a_dropped_grant_has_no_certificate_left() -> None:
    holder = Clock().holder()
    current = session()
    holder.sign_in(current)
    for one in (held("grt_1"), held("grt_2", "hmi1")):
        holder.keep(current, one)
    holder.drop(current, "grt_1")
    assert holder.find("plc3", None) is None
    assert [one.blob for one in holder.identities()[0]] == [b"grt_2"]


def test_the_found_certificate_moves_to_the_front() -> None:
    holder = Clock().holder()
    current = session()
    holder.sign_in(current)
    for one in (held("grt_1", "plc3"), held("grt_2", "hmi1")):
        holder.keep(current, one)
    assert [one.blob for one in holder.identities()[0]] == [b"grt_2", b"grt_1"]
    found = holder.find("PLC3", None)
    assert found is not None
    assert found.grant_id == "grt_1"
    assert [one.blob for one in holder.identities()[0]] == [b"grt_1", b"grt_2"]
    assert holder.find("plc3", "service") is None


def test_a_certificate_near_its_end_is_listed_but_not_found() -> None:
    clock = Clock()
    holder = clock.holder()
    current = session()
    holder.sign_in(current)
    holder.keep(current, held("grt_1", seconds=61))
    assert holder.find("plc3", None) is not None
    clock.wall += 2
    assert holder.find("plc3", None) is None
    assert len(holder.identities()[0]) == 1
    clock.wall += 60
    assert holder.identities()[0] == []


def test_the_sites_clock_counts_not_ours() -> None:
    holder = Clock().holder()
    current = session(offset_ms=300_000)
    holder.sign_in(current)
    holder.keep(current, held("grt_1"))
    assert holder.find("plc3", None) is None


def test_a_new_certificate_replaces_the_old_of_its_grant_and_the_expired() -> None:
    clock = Clock()
    holder = clock.holder()
    current = session()
    holder.sign_in(current)
    holder.keep(current, held("grt_1", "hmi1", seconds=10))
    holder.keep(current, held("grt_2"))
    clock.wall += 20
    holder.keep(current, held("grt_2", seconds=600))
    assert [one.grant_id for one in current.certificates] == ["grt_2"]


def test_an_old_session_does_not_end_a_new_one() -> None:
    holder = Clock().holder()
    old, new = session(), session()
    holder.sign_in(new)
    holder.sign_out(of=old)
    assert holder.current() is new
    holder.sign_out()
    assert holder.current() is None


def test_a_session_shows_neither_token_nor_key() -> None:
    assert "t0ken" not in repr(session())
    assert "***" in repr(session())


def test_two_sessions_never_share_a_key() -> None:
    assert session().key.public_line != session().key.public_line
