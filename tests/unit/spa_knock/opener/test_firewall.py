"""The firewall's transactions against a scripted kernel; real packets are in tests/contract."""

import errno
import socket
import struct
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from spa_knock.opener import conntrack
from spa_knock.opener.conntrack import Flow
from spa_knock.opener.errors import KernelError, Refusal
from spa_knock.opener.firewall import Firewall
from spa_knock.opener.netlink import Message, Reply

REMOTE, LOCAL = ip_address("198.51.100.7"), ip_address("198.51.100.1")
FLOW = Flow(LOCAL, 443, REMOTE, 5000)


class Kernel:
    """Answers by message type: an error number, or payloads."""

    def __init__(self, **answers: int | list[bytes]) -> None:
        self.answers = {int(name[1:], 16): answer for name, answer in answers.items()}
        self.seen: list[Message] = []

    def transact(self, messages: Sequence[Message], what: str) -> list[Reply]:
        self.seen += messages
        return [reply for message in messages for reply in self._answer(message, what)]

    def dump(self, message: Message, what: str) -> list[Reply]:
        self.seen.append(message)
        return self._answer(message, what)

    def types(self) -> list[int]:
        return [message.type for message in self.seen]

    def _answer(self, message: Message, what: str) -> list[Reply]:
        answer = self.answers.get(message.type, [])
        if isinstance(answer, int):
            raise KernelError(answer, what)
        return [Reply(message.type, 0, 0, payload) for payload in answer]


def a_socket(flow: Flow, cookie: int = 1, uid: int = 0) -> bytes:
    addresses = flow.local.packed.ljust(16, b"\0") + flow.remote.packed.ljust(16, b"\0")
    ports = struct.pack(">HH", flow.local_port, flow.remote_port)
    return (
        bytes([socket.AF_INET, 1, 0, 0]) + ports + addresses + struct.pack("=IIIIIIII", 0, cookie, 0, 0, 0, 0, uid, 0)
    )


def a_firewall(netfilter: Kernel | None = None, diagnosis: Kernel | None = None) -> Firewall:
    return Firewall("sallyport", netfilter or Kernel(), diagnosis or Kernel())


def test_opening_renews_the_window_and_remembers_the_nonce_in_one_transaction() -> None:
    kernel = Kernel()
    a_firewall(kernel).open_window(443, REMOTE, 8, b"nonce-of-12b")
    assert kernel.types() == [0x10, 0xA0C, 0xA0E, 0xA0C, 0xA0C, 0xA0E, 0xA0C, 0x11]
    assert b"open4\0" in kernel.seen[1].payload
    assert b"nonce-of" in kernel.seen[4].payload
    assert b"nonce-of-" not in kernel.seen[4].payload


@pytest.mark.parametrize(("number", "expected"), [(errno.ENFILE, "full"), (errno.ENOSPC, "full")])
def test_a_full_set_refuses_the_knock(number: int, expected: str) -> None:
    with pytest.raises(Refusal, match=expected):
        a_firewall(Kernel(xA0C=number)).open_window(443, REMOTE, 8, bytes(12))


def test_another_failure_of_the_kernel_is_no_refusal() -> None:
    with pytest.raises(KernelError):
        a_firewall(Kernel(xA0C=errno.EPERM)).open_window(443, REMOTE, 8, bytes(12))


def test_a_missing_rule_set_stops_the_start() -> None:
    a_firewall(Kernel()).require_loaded()
    with pytest.raises(KernelError):
        a_firewall(Kernel(xA0A=errno.ENOENT)).require_loaded()


def test_closing_and_egress_touch_their_own_sets() -> None:
    kernel = Kernel()
    firewall = a_firewall(kernel)
    firewall.close_window(443, ip_address("2001:db8::7"))
    firewall.allow_egress(REMOTE, 22, 60)
    firewall.end_egress(REMOTE, 22)
    names = [payload.payload for payload in kernel.seen if payload.type == 0xA0E]
    assert [b"open6\0" in names[0], b"egress4\0" in names[1], b"egress4\0" in names[2]] == [True, True, True]


def test_a_flow_is_marked_when_it_is_the_only_one_and_has_no_mark() -> None:
    netfilter = Kernel(xA0D=errno.ENOENT, x101=[conntrack.set_mark(FLOW, 0).payload])
    diagnosis = Kernel(x14=[a_socket(FLOW), a_socket(Flow(LOCAL, 443, ip_address("198.51.100.8"), 5000))])
    a_firewall(netfilter, diagnosis).mark_flow(443, REMOTE, 5000, 9)
    written = netfilter.seen[-1]
    assert (written.type, conntrack.read_mark(written.payload), conntrack.read_flow(written.payload)) == (
        0x100,
        9,
        FLOW,
    )


@pytest.mark.parametrize(
    ("netfilter", "sockets", "expected"),
    [
        (Kernel(), [FLOW], "mark_revoked"),
        (Kernel(xA0D=errno.ENOENT), [], "flow_unknown"),
        (Kernel(xA0D=errno.ENOENT), [FLOW, Flow(ip_address("198.51.100.2"), 443, REMOTE, 5000)], "flow_unknown"),
        (Kernel(xA0D=errno.ENOENT, x101=errno.ENOENT), [FLOW], "flow_unknown"),
        (Kernel(xA0D=errno.ENOENT, x101=[conntrack.set_mark(FLOW, 8).payload]), [FLOW], "mark_taken"),
    ],
)
def test_a_flow_is_not_marked_otherwise(netfilter: Kernel, sockets: list[Flow], expected: str) -> None:
    diagnosis = Kernel(x14=[a_socket(flow) for flow in sockets])
    with pytest.raises(Refusal, match=expected):
        a_firewall(netfilter, diagnosis).mark_flow(443, REMOTE, 5000, 9)
    assert 0x100 not in netfilter.types()


def test_revoking_blocks_first_and_then_destroys_exactly_the_marked_sockets() -> None:
    other = Flow(LOCAL, 443, REMOTE, 6000)
    netfilter = Kernel(x101=[conntrack.set_mark(FLOW, 9).payload, conntrack.set_mark(other, 8).payload])
    diagnosis = Kernel(x14=[a_socket(FLOW, cookie=77), a_socket(other, cookie=78)])
    assert a_firewall(netfilter, diagnosis).revoke(9) >= 1
    assert netfilter.types() == [0x10, 0xA0C, 0x11, 0x101]
    destroyed = {message.payload for message in diagnosis.seen if message.type == 0x15}
    assert [payload[-12:] for payload in destroyed] == [struct.pack("=III", 0, 77, 0)]


def test_what_was_marked_here_is_reset_before_the_kernels_table_is_searched() -> None:
    """With thousands of flows that search takes longer than the whole rest."""
    netfilter = Kernel(xA0D=errno.ENOENT, x101=[conntrack.set_mark(FLOW, 0).payload])
    diagnosis = Kernel(x14=[a_socket(FLOW, cookie=77)])
    firewall = a_firewall(netfilter, diagnosis)
    firewall.mark_flow(443, REMOTE, 5000, 9)
    netfilter.seen = diagnosis.seen = order = []
    assert firewall.revoke(9) == 1
    assert [message.type for message in order] == [0x10, 0xA0C, 0x11, 0x15, 0x101]
    assert order[3].payload[-12:] == struct.pack("=III", 0, 77, 0)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE])
def test_a_socket_that_is_gone_already_is_no_error(number: int) -> None:
    netfilter = Kernel(x101=[conntrack.set_mark(FLOW, 9).payload])
    assert a_firewall(netfilter, Kernel(x14=[a_socket(FLOW)], x15=number)).revoke(9) == 0


def test_a_reset_destroys_the_one_connection_it_names() -> None:
    diagnosis = Kernel(x14=[a_socket(FLOW, cookie=77), a_socket(Flow(LOCAL, 443, REMOTE, 6000), cookie=78)])
    assert a_firewall(None, diagnosis).reset_flow(443, REMOTE, 5000) == 2  # listed once in each address family
    destroyed = {message.payload[-12:] for message in diagnosis.seen if message.type == 0x15}
    assert destroyed == {struct.pack("=III", 0, 77, 0)}


def test_an_egress_reset_closes_the_way_first_and_leaves_other_users_connections() -> None:
    ours, theirs = Flow(LOCAL, 50001, REMOTE, 22), Flow(LOCAL, 50002, REMOTE, 22)
    diagnosis = Kernel(x14=[a_socket(ours, cookie=77, uid=61186), a_socket(theirs, cookie=78)])
    netfilter = Kernel()
    assert a_firewall(netfilter, diagnosis).reset_egress(REMOTE, 22, 61186) == 2
    assert 0xA0E in netfilter.types()
    destroyed = {message.payload[-12:] for message in diagnosis.seen if message.type == 0x15}
    assert destroyed == {struct.pack("=III", 0, 77, 0)}


def test_restoring_a_mark_that_is_not_revoked_is_no_error() -> None:
    kernel = Kernel()
    a_firewall(kernel).unrevoke(9)
    assert kernel.types() == [0x10, 0xA0C, 0xA0E, 0x11]
