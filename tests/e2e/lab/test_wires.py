import socket

import pytest

from deploy.demo import netns, wires
from deploy.demo.lab import BROKER, BROKER_PLANT_ADDRESS, PLANT_ADDRESS, Lab
from deploy.demo.target import Target
from deploy.demo.wires import Legs

pytestmark = pytest.mark.netns


def test_a_leg_is_seen_at_both_ends_while_it_lives(lab: Lab, target: Target) -> None:
    before = wires.legs(lab)
    with netns.connect(lab.namespace(BROKER), target.address, target.port, 5.0) as leg:
        leg.recv(4)
        found = wires.await_true(lambda: wires.legs(lab), lambda seen: seen.at_plant > before.at_plant)
        assert (found.at_broker_to_plant, found.at_plant) == (before.at_broker_to_plant + 1, before.at_plant + 1)
        assert leg.getsockname()[0] == BROKER_PLANT_ADDRESS
        assert not found.both_live
        leg.shutdown(socket.SHUT_RDWR)
    over = wires.await_true(lambda: wires.legs(lab), lambda seen: seen.at_broker_to_plant == 0)
    assert over.at_broker_to_plant == 0
    assert target.address == PLANT_ADDRESS


def test_one_living_end_is_enough_to_say_so() -> None:
    assert Legs(0, 0, 0, 0, 0).are_dead
    for place in range(5):
        assert not Legs(*(int(place == at) for at in range(5))).are_dead


def test_waiting_returns_the_last_look() -> None:
    looks = iter(range(10))
    assert wires.await_true(lambda: next(looks), lambda found: found == 3) == 3
    assert wires.await_true(lambda: "never", lambda found: not found, 0.1) == "never"
