"""The command's side; its conversation with control is in test_knock_status."""

import socket
import threading
from pathlib import Path

from broker.app import host_knock
from spa_knock.link.framing import encode


def test_without_control_nobody_answers(tmp_path: Path) -> None:
    assert host_knock.asked(tmp_path / "absent.sock") is None


def test_the_opener_alone_is_asked_when_control_is_away(tmp_path: Path) -> None:
    told: dict[str, object] = {
        "type": "done",
        "rules": "whole",
        "counters": {"strangers_packets": 3},
        **{name: [] for name in ("windows", "egress")},
        **dict.fromkeys(("windows_total", "egress_total", "revoked_total", "used_nonces_total"), 0),
    }
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "o.sock"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(encode(told))

        thread = threading.Thread(target=answer)
        thread.start()
        text = "\n".join(host_knock.lines(host_knock.without_control(tmp_path / "o.sock")))
        thread.join(5)
    assert "control does not answer" in text
    assert "3 other packets that met a closed door" in text


def test_a_guard_that_accepts_nothing_says_why_and_what_the_kernel_sheds_is_shown() -> None:
    guard = {
        "connected": True,
        "state": "degraded",
        "faults": ["firewall", "clock", "another"],
        "gate": "length_only",
        "counters": {"shed_at_socket": 12, "firewall_full": 2},
    }
    text = "\n".join(host_knock.lines({"guard": guard}))
    assert "ACCEPTS NOTHING: the opener cannot open" in text
    assert "ACCEPTS NOTHING: this host's clock jumped" in text
    assert "ACCEPTS NOTHING: another" in text
    assert "raise net.core.optmem_max" in text
    assert "12 dropped at the socket" in text
    assert "2 refused because a set of the firewall was full" in text


def test_nonsense_is_shown_as_nothing_and_never_raises() -> None:
    for told in (
        {},
        {"guard": 7, "opener": [], "refusals": 3},
        {"guard": {"state": "armed", "counters": {"refused_x": "y"}}},
    ):
        assert host_knock.lines(told)
