"""An SFTP channel: what passes, what is answered here, and that no cutting of the bytes changes any of it."""

import hashlib
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.file_stream import FileFact, FileRefused, FileTransferred, FileTurn
from broker.policy.command_rules import linux_default
from broker.policy.file_rules import FileRules
from broker.protocols.ssh import sftp_wire as wire
from broker.protocols.ssh.sftp import MAX_REFUSALS, SftpStream
from broker.protocols.ssh.sftp_replies import MAX_HANDLES, MAX_PENDING
from broker.protocols.ssh.sftp_transfer import OpenFile
from broker.protocols.ssh.sftp_wire import OpenFlag, Status, Type
from tests.unit.broker.protocols.ssh.sftp_packets import INIT, PUT, VERSION, Target, packet, split

RULES = FileRules(frozenset({"file_upload", "file_download"}), linux_default())


class Wire:
    """A client, the stream and a target, run until nothing moves any more."""

    def __init__(self, target: Target | None = None, rules: FileRules = RULES) -> None:
        self.stream = SftpStream(rules)
        self.target = target or Target()
        self.to_target = b""
        self.to_client = b""
        self.facts: list[FileFact] = []
        self.broken = ""

    def client(self, data: bytes, cut: int = 1 << 20) -> "Wire":
        for at in range(0, len(data), cut):
            self._taken(self.stream.client(data[at : at + cut]), cut)
        return self

    def _taken(self, turn: FileTurn, cut: int) -> None:
        self.to_target += turn.to_target
        self.to_client += turn.to_client
        self.facts += turn.facts
        self.broken = self.broken or turn.broken
        answers = self.target.answer(turn.to_target)
        for at in range(0, len(answers), cut):
            self._taken(self.stream.target(answers[at : at + cut]), cut)

    def begun(self) -> "Wire":
        return self.client(INIT)

    def codes(self) -> dict[int, int]:
        """Status answers by request."""
        found = split(self.to_client)
        return {int.from_bytes(p[5:9], "big"): p[12] for p in found if p[4] == Type.STATUS}

    def refused(self) -> list[str]:
        return [fact.rule_id for fact in self.facts if isinstance(fact, FileRefused)]


def put(path: bytes, data: bytes, first: int = 10, block: int = 7, handle: bytes = b"h0") -> bytes:
    """As stock sftp does it."""
    sent = packet(Type.OPEN, first, path, PUT, 4, 0o644)
    for at in range(0, len(data), block):
        sent += packet(Type.WRITE, first + 1 + at, handle, (at,), data[at : at + block])
    return sent + packet(Type.CLOSE, first + 1 + len(data) + block, handle)


def test_an_upload_passes_as_it_is_and_is_hashed() -> None:
    one = Wire().begun()
    one.client(packet(Type.OPEN, 10, b"/tmp/x", PUT, 0))
    rest = put(b"/tmp/x", b"the content of a file")[len(packet(Type.OPEN, 10, b"/tmp/x", PUT, 4, 0o644)) :]
    one.client(rest)
    assert one.target.files == {"/tmp/x": b"the content of a file"}
    digest = hashlib.sha256(b"the content of a file").hexdigest()
    (fact,) = one.facts
    assert isinstance(fact, FileTransferred)
    assert (fact.path, fact.sha256, fact.complete) == ("/tmp/x", digest, True)
    assert one.to_target.endswith(rest)


def test_a_download_is_hashed_and_unchanged() -> None:
    one = Wire(Target({"/srv/data/x": b"0123456789"})).begun()
    one.client(packet(Type.OPEN, 1, b"/srv/data/x", OpenFlag.READ, 0))
    for number, offset in enumerate((0, 4, 8, 12), 2):
        one.client(packet(Type.READ, number, b"h0", (offset,), 4))
    one.client(packet(Type.READ, 8, b"h0", (10,), 4) + packet(Type.CLOSE, 9, b"h0"))
    (fact,) = one.facts
    assert isinstance(fact, FileTransferred)
    assert (fact.sha256, fact.complete) == (hashlib.sha256(b"0123456789").hexdigest(), True)
    assert Type.REALPATH not in one.target.asked  # reading asks nothing


def test_a_refused_request_never_reaches_the_target_and_the_next_one_does() -> None:
    one = Wire(Target({"/srv/data/x": b"1", "/tmp/y": b"2"}), RULES).begun()
    one.client(packet(Type.REMOVE, 5, b"/srv/data/x") + packet(Type.REMOVE, 6, b"/tmp/y"))
    assert one.target.files == {"/srv/data/x": b"1"}
    assert one.codes() == {5: Status.PERMISSION_DENIED, 6: Status.OK}
    assert one.facts == [
        FileRefused(
            "linux.recursive-removal",
            "what is there is protected from removal, replacement and change",
            "sftp: remove /srv/data/x",
        )
    ]
    assert b"Sallyport: refused (linux.recursive-removal)" in one.to_client


def test_a_link_into_a_protected_folder_does_not_help() -> None:
    one = Wire(Target({"/srv/data/x": b"1"}, {"/tmp/l": "/srv/data"})).begun()
    one.client(packet(Type.REMOVE, 5, b"/tmp/l/x") + packet(Type.REMOVE, 6, b"../../tmp/l/x"))
    assert one.target.files == {"/srv/data/x": b"1"}
    assert one.refused() == ["linux.recursive-removal"] * 2


def test_what_follows_a_held_request_waits_and_keeps_its_order() -> None:
    stream = SftpStream(RULES)
    stream.client(INIT)
    stream.target(VERSION)
    rest = packet(Type.STAT, 6, b"/a") + packet(Type.STAT, 7, b"/b")
    turn = stream.client(packet(Type.REMOVE, 5, b"/tmp/x") + rest)
    (question,) = split(turn.to_target)
    assert question[4] == Type.REALPATH
    assert not stream.drained
    assert stream.waiting_bytes == len(rest)
    turn = stream.target(packet(Type.NAME, 2**32 - 1, 1, b"/tmp", b"", 0))
    assert [p[4] for p in split(turn.to_target)] == [Type.REMOVE, Type.STAT, Type.STAT]
    assert turn.to_client == b""
    assert stream.drained


def test_a_request_before_the_targets_version_waits() -> None:
    stream = SftpStream(RULES)
    turn = stream.client(INIT + packet(Type.STAT, 1, b"/x"))
    assert turn.to_target == INIT
    assert not stream.drained
    assert stream.target(VERSION).to_target == packet(Type.STAT, 1, b"/x")


def test_a_newer_client_is_held_down_to_version_3() -> None:
    stream = SftpStream(RULES)
    assert stream.client(pack(">IBI", 5, Type.INIT, 6)).to_target == INIT


@pytest.mark.parametrize(
    ("one", "rule", "code"),
    [
        (packet(Type.EXTENDED, 5, b"check-file@x", b"h"), "files.unknown-request", Status.OP_UNSUPPORTED),
        (packet(21, 5, b"/x", b"/y"), "files.unknown-request", Status.OP_UNSUPPORTED),
        (packet(Type.INIT, 5, b""), "files.unknown-request", Status.OP_UNSUPPORTED),
        (packet(Type.READ, 5, b"nope", (0,), 9), "files.no-handle", Status.FAILURE),
        (packet(Type.WRITE, 5, b"nope", (0,), b"data"), "files.no-handle", Status.FAILURE),
        (packet(Type.WRITE, 5, b"h0", (0,), b"data"), "files.not-open-for-that", Status.PERMISSION_DENIED),
        (packet(Type.EXTENDED, 5, b"copy-data", b"h0", (0,), (9,), b"h0", (3,)), "files.not-open-for-that",
         Status.PERMISSION_DENIED),
    ],
)  # fmt: skip
def test_what_is_not_known_or_not_open_is_answered_here(one: bytes, rule: str, code: Status) -> None:
    wire_ = Wire(Target({"/x": b"1"})).begun().client(packet(Type.OPEN, 1, b"/x", OpenFlag.READ, 0))
    asked = list(wire_.target.asked)
    wire_.client(one + packet(Type.STAT, 6, b"/x"))
    assert wire_.target.asked == [*asked, Type.STAT]
    assert wire_.refused() == [rule]
    assert wire_.codes()[5] == code
    assert wire_.target.files == {"/x": b"1"}


@pytest.mark.parametrize("name", [b"posix-rename@openssh.com", b"hardlink@openssh.com"])
def test_extensions_that_change_something_are_judged(name: bytes) -> None:
    one = Wire(Target({"/srv/data/x": b"1"})).begun()
    one.client(packet(Type.EXTENDED, 5, name, b"/srv/data/x", b"/tmp/x"))
    assert one.refused() == ["linux.recursive-removal"]
    one.client(
        packet(Type.EXTENDED, 6, b"statvfs@openssh.com", b"/srv/data") + packet(Type.EXTENDED, 7, b"limits@openssh.com")
    )
    assert one.codes()[6] == one.codes()[7] == Status.OK


def test_copying_on_the_target_is_told_without_a_hash() -> None:
    one = Wire(Target({"/x": b"1"})).begun()
    one.client(packet(Type.OPEN, 1, b"/x", OpenFlag.READ, 0) + packet(Type.OPEN, 2, b"/y", PUT, 0))
    one.client(packet(Type.EXTENDED, 5, b"copy-data", b"h0", (0,), (9,), b"h1", (0,)) + packet(Type.CLOSE, 6, b"h1"))
    (fact,) = one.facts
    assert isinstance(fact, FileTransferred)
    assert (fact.path, fact.sha256, fact.sequential) == ("/y", None, False)


def test_open_files_and_requests_under_way_are_bounded() -> None:
    one = Wire().begun()
    for number in range(MAX_HANDLES + 1):
        one.client(packet(Type.OPENDIR, number, b"/d%d" % number))
        one.stream._replies.files[b"%d" % number] = OpenFile("/d", is_folder=True)
    assert one.refused()[-1] == "files.limit"
    stream = SftpStream(RULES)
    stream.client(INIT)
    stream.target(VERSION)
    facts = [f for n in range(MAX_PENDING + 1) for f in stream.client(packet(Type.STAT, n, b"/x")).facts]
    assert [fact.rule_id for fact in facts if isinstance(fact, FileRefused)] == ["files.limit"]


def test_refusals_without_end_end_the_channel() -> None:
    one = Wire().begun()
    for number in range(MAX_REFUSALS + 1):
        one.client(packet(21, number))
    assert one.broken == "too many requests were refused"
    assert one.stream.client(packet(Type.STAT, 1, b"/x")) == FileTurn()


@pytest.mark.parametrize(
    "data",
    [
        pack(">IBI", 4, Type.STAT, 1),
        pack(">IBI", 2**32 - 1, Type.STAT, 1),
        pack(">IBI", wire.MAX_PACKET_BYTES + 1, Type.STAT, 1),
        pack(">IBI", wire.MAX_BULK_BYTES + 1, Type.WRITE, 1),
        packet(Type.REMOVE, 1, 2**31),
        pack(">IBII", 30, Type.WRITE, 1, 2**31) + bytes(30),
        packet(Type.WRITE, 1, b"h0", (0,), 5) + b"ab" + bytes(300),
        packet(Type.STAT, 1, b"/x") + packet(Type.STAT, 1, b"/y"),
    ],
)
def test_what_cannot_be_read_ends_the_channel_and_does_not_pass(data: bytes) -> None:
    stream = SftpStream(RULES)
    stream.client(INIT)
    stream.target(VERSION)
    turn = stream.client(data)
    assert turn.broken
    assert turn.to_target in (b"", packet(Type.STAT, 1, b"/x"))
    assert stream.client(data) == stream.target(VERSION) == FileTurn()


@pytest.mark.parametrize(
    "data", [packet(Type.STAT, 3, b"/x"), pack(">IBI", 5, Type.INIT, 2), b"GET / HTTP/1.1\r\n\r\n"]
)
def test_a_client_that_does_not_begin_with_version_3_ends_it(data: bytes) -> None:
    turn = SftpStream(RULES).client(data)
    assert turn.broken
    assert turn.to_target == b""


def test_the_end_tells_what_was_broken_off() -> None:
    one = Wire().begun().client(packet(Type.OPEN, 1, b"/tmp/x", PUT, 0))
    head = packet(Type.WRITE, 2, b"h0", (0,), b"x" * 1000)
    one.client(head[:600])
    (fact,) = one.stream.end().facts
    assert isinstance(fact, FileTransferred)
    assert (fact.complete, fact.sha256) == (False, None)
    assert 0 < fact.moved_bytes < 1000
    assert one.stream.end() == FileTurn()


SCRIPT = (
    INIT
    + packet(Type.EXTENDED, 3, b"limits@openssh.com")
    + packet(Type.REALPATH, 4, b".")
    + packet(Type.OPEN, 10, b"/tmp/x", PUT, 4, 0o644)
    + packet(Type.REMOVE, 11, b"/srv/data/x")
    + packet(Type.STAT, 12, b"/srv/data/x")
    + packet(Type.MKDIR, 13, b"/srv/data/d", 0)
    + packet(21, 14, b"/x")
    + packet(Type.RENAME, 15, b"/srv/data/x", b"/tmp/y")
)
MORE = (
    packet(Type.WRITE, 20, b"h0", (0,), b"abcdefgh")
    + packet(Type.WRITE, 21, b"no", (0,), b"dropped content")
    + packet(Type.WRITE, 22, b"h0", (8,), b"")
    + packet(Type.WRITE, 23, b"h0", (8,), b"ijk")
    + packet(Type.CLOSE, 24, b"h0")
    + packet(Type.OPEN, 25, b"/tmp/x", OpenFlag.READ, 0)
)
LAST = (
    packet(Type.READ, 30, b"h1", (0,), 100) + packet(Type.READ, 31, b"h1", (11,), 100) + packet(Type.CLOSE, 32, b"h1")
)


def _run(cut: int) -> Wire:
    one = Wire(Target({"/srv/data/x": b"1"}))
    for part in (SCRIPT, MORE, LAST):
        one.client(part, cut)
    return one


WHOLE = _run(1 << 20)


@given(st.integers(1, 90))
def test_no_cutting_of_the_bytes_changes_what_passes(cut: int) -> None:
    one = _run(cut)
    assert one.to_target == WHOLE.to_target
    assert sorted(split(one.to_client)) == sorted(split(WHOLE.to_client))
    assert one.facts == WHOLE.facts
    assert one.target.files == {"/srv/data/x": b"1", "/tmp/x": b"abcdefghijk"}
    assert not one.broken


def test_the_script_of_that_test_does_what_it_should() -> None:
    assert WHOLE.refused() == [
        "linux.recursive-removal",
        "files.unknown-request",
        "linux.recursive-removal",
        "files.no-handle",
    ]
    told = [fact for fact in WHOLE.facts if isinstance(fact, FileTransferred)]
    digest = hashlib.sha256(b"abcdefghijk").hexdigest()
    assert [(fact.direction.value, fact.sha256) for fact in told] == [("up", digest), ("down", digest)]


TYPES = st.sampled_from([*Type, 0, 21, 255])
NOISE = st.one_of(
    st.binary(max_size=40),
    st.builds(packet, TYPES, st.integers(0, 4), st.binary(max_size=9), st.binary(max_size=9)),
    st.builds(
        packet, TYPES, st.integers(0, 4), st.binary(max_size=4), st.tuples(st.integers(0, 99)), st.binary(max_size=9)
    ),
    st.builds(lambda n, k: pack(">IBI", n, k, 1), st.integers(0, 2**32 - 1), TYPES),
)


@given(st.lists(st.tuples(st.booleans(), NOISE), max_size=20))
def test_whatever_comes_nothing_raises_and_nothing_grows(script: list[tuple[bool, bytes]]) -> None:
    stream = SftpStream(RULES)
    stream.client(INIT)
    stream.target(VERSION)
    fed = 0
    for from_client, data in script:
        turn = stream.client(data) if from_client else stream.target(data)
        fed += len(data)
        assert len(turn.to_target) <= fed + 5_000
        assert len(stream._buffer) <= wire.MAX_PACKET_BYTES + fed
    stream.end()
