import socket
from pathlib import Path

import pytest

from deploy.demo import netns
from deploy.demo.lab import PLANT, VENDOR, VENDOR_ADDRESS, Lab

pytestmark = pytest.mark.netns


def test_a_socket_made_inside_stays_inside_while_the_caller_stays_outside(lab: Lab) -> None:
    here = Path("/proc/self/ns/net").readlink()
    made = netns.call_inside(lab.namespace(VENDOR), lambda: socket.create_server((VENDOR_ADDRESS, 0)))
    with made:
        with netns.connect(lab.namespace(VENDOR), VENDOR_ADDRESS, made.getsockname()[1], 2.0) as client:
            assert client.getpeername()[0] == VENDOR_ADDRESS
        assert Path("/proc/self/ns/net").readlink() == here
        with pytest.raises(OSError, match=r"Cannot assign|not available"):
            socket.create_server((VENDOR_ADDRESS, 0))


def test_what_fails_inside_is_raised_outside(lab: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        netns.connect(lab.namespace(PLANT), "127.0.0.1", 9, 2.0)


def test_a_namespace_that_does_not_exist_is_named_in_the_error() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-namespace"):
        netns.call_inside(netns.NAMES_DIR / "no-such-namespace", lambda: None)
