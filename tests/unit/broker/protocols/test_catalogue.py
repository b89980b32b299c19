"""Protocols are found by scanning; a broken or double one stops the start."""

from dataclasses import replace

import pytest

from broker.protocols import catalogue
from broker.protocols.catalogue import BadProtocol, find_protocols
from broker.protocols.ssh import spec


def test_ssh_is_found() -> None:
    assert [(one.name, one.door) for one in find_protocols()] == [("ssh", 2)]


def test_a_folder_without_a_spec_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "SPEC", None)
    with pytest.raises(BadProtocol, match="no SPEC"):
        find_protocols()


def test_two_protocols_at_one_door_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    (module,) = (one for one in catalogue.iter_modules(catalogue.broker.protocols.__path__) if one.ispkg)
    monkeypatch.setattr(catalogue, "iter_modules", lambda path: [module, module])
    with pytest.raises(BadProtocol, match="share"):
        find_protocols()


def test_a_spec_is_a_value() -> None:
    assert replace(spec.SPEC, door=2) == spec.SPEC
