import socket

import pytest

from deploy.demo import netns
from deploy.demo.lab import BROKER, BROKER_VENDOR_ADDRESS, VENDOR, VENDOR_ADDRESS, Lab, LabError
from deploy.demo.scan import OutgoingCapture, describe, parse_nmap, scan_from_vendor

pytestmark = pytest.mark.netns

_DROP = """
table inet quiet {
  chain inward {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
  }
}
"""


def _send(lab: Lab, host: str, address: str, count: int) -> None:
    with netns.call_inside(lab.namespace(host), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for _ in range(count):
            sender.sendto(b"hello", (address, 9))


def test_a_host_without_a_firewall_is_seen_and_its_answers_are_counted(lab: Lab) -> None:
    facts = scan_from_vendor(lab, udp_ports="1-50", tcp_ports="1-100")
    assert facts.tcp.by_state == {"closed": 100}
    assert facts.silence.ip_to(VENDOR_ADDRESS) >= 100
    assert not facts.hidden


def test_a_silent_host_is_hidden_over_all_ports_in_a_few_seconds(lab: Lab) -> None:
    lab.run(BROKER, ["nft", "-f", "-"], text=_DROP)
    try:
        facts = scan_from_vendor(lab)
    finally:
        lab.run(BROKER, ["nft", "delete", "table", "inet", "quiet"])
    assert facts.tcp.by_state == {"filtered": 65535}
    assert facts.udp.by_state == {"open|filtered": 65535}
    assert facts.silence.ip_by_destination == {}
    assert facts.hidden
    assert facts.tcp.seconds + facts.udp.seconds < 30
    assert "IP packets that left at all: 0" in describe(facts)[1]


def test_the_capture_counts_by_destination_and_leaves_incoming_packets_out(lab: Lab) -> None:
    with OutgoingCapture(lab) as capture:
        _send(lab, BROKER, VENDOR_ADDRESS, 3)
    assert capture.silence.ip_by_destination == {VENDOR_ADDRESS: 3}
    lab.run(BROKER, ["nft", "-f", "-"], text=_DROP)
    try:
        with OutgoingCapture(lab) as capture:
            _send(lab, BROKER, BROKER_VENDOR_ADDRESS, 2)
            _send(lab, VENDOR, BROKER_VENDOR_ADDRESS, 2)
    finally:
        lab.run(BROKER, ["nft", "delete", "table", "inet", "quiet"])
    assert capture.silence.ip_packets == 0
    assert capture.silence.received_by_broker >= 2


def test_a_running_capture_has_no_result_yet(lab: Lab) -> None:
    with OutgoingCapture(lab) as capture, pytest.raises(LabError, match="still runs"):
        _ = capture.silence


def test_silence_without_arriving_probes_proves_nothing(lab: Lab) -> None:
    lab.run(BROKER, ["ip", "link", "set", "out0", "down"])
    try:
        facts = scan_from_vendor(lab, udp_ports="1-50", tcp_ports="1-50")
    finally:
        lab.run(BROKER, ["ip", "link", "set", "out0", "up"])
        lab.run(BROKER, ["ip", "route", "add", "default", "via", "203.0.113.1"])
    assert facts.silence.ip_packets == 0
    assert not facts.hidden


def test_a_report_without_a_host_is_refused() -> None:
    with pytest.raises(LabError, match="did not finish its tcp scan"):
        parse_nmap("<nmaprun><runstats/></nmaprun>", "tcp")
