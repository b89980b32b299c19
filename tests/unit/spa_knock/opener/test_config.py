"""The configuration: read exactly, or not at all."""

import contextlib
import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener.config import Archive, Config, Peer, parse_config
from spa_knock.opener.errors import ConfigError
from tests.unit.spa_knock.opener.testing import CONFIG_TEXT, a_config


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(CONFIG_TEXT), **changes})


def test_every_field_is_taken_as_written() -> None:
    config = a_config()
    assert config.table == "sallyport"
    assert config.vendor_interfaces == ("out0",)
    assert config.doors == {1: 443, 2: 22}
    assert config.knock_ports == (62201,)
    assert config.management[0].prefixes == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert config.max_open_seconds == 30
    assert [config.uids.of(peer) for peer in (Peer.GUARD, Peer.CONTROL, Peer.GATEWAY)] == [61185, 61187, 61186]


def test_the_archive_has_a_user_of_its_own_and_one_endpoint() -> None:
    archive = parse_config(changed(archive={"uid": 61188, "address": "10.20.0.50", "port": 9000})).archive
    assert archive == Archive(61188, ip_address("10.20.0.50"), 9000)
    assert a_config().archive is None


@pytest.mark.parametrize(
    "archive",
    [
        {"uid": 61187, "address": "10.20.0.50", "port": 9000},
        {"uid": 0, "address": "10.20.0.50", "port": 9000},
        {"uid": 61188, "address": "10.20.0.0/24", "port": 9000},
        {"uid": 61188, "address": "::", "port": 9000},
        {"uid": 61188, "address": "store.plant.example", "port": 9000},
        {"uid": 61188, "address": 1, "port": 9000},
        {"uid": 61188, "address": "10.20.0.50", "port": 0},
        {"uid": 61188, "address": "10.20.0.50"},
        None,
    ],
)
def test_an_archive_that_could_reach_more_is_refused(archive: object) -> None:
    with pytest.raises(ConfigError, match="archive"):
        parse_config(changed(archive=archive))


def test_the_longest_window_has_a_default() -> None:
    fields = json.loads(CONFIG_TEXT)
    del fields["max_open_seconds"]
    assert parse_config(json.dumps(fields)).max_open_seconds == 30


@pytest.mark.parametrize(
    "changes",
    [
        {"table": "x; flush ruleset"},
        {"table": ""},
        {"table": "Sally"},
        {"vendor_interfaces": []},
        {"vendor_interfaces": ["lo"]},
        {"vendor_interfaces": ['out0" accept']},
        {"vendor_interfaces": ["out0\n"]},
        {"vendor_interfaces": ["a" * 16]},
        {"vendor_interfaces": ["out0", "out0"]},
        {"vendor_interfaces": ["mgmt0"]},
        {"vendor_interfaces": "out0"},
        {"doors": {}},
        {"doors": {"0": 443}},
        {"doors": {"01": 443}},
        {"doors": {"70000": 443}},
        {"doors": {"1": 0}},
        {"doors": {"1": True}},
        {"doors": {"1": 443, "2": 443}},
        {"doors": [443]},
        {"knock_ports": []},
        {"knock_ports": [65536]},
        {"knock_ports": [1, 1]},
        {"management": [{"interface": "mgmt0", "prefixes": ["10.0.0.1/8"], "tcp_ports": [1]}]},
        {"management": [{"interface": "mgmt0", "prefixes": [], "tcp_ports": [1]}]},
        {"management": [{"interface": "mgmt0", "prefixes": ["10.0.0.0/8"], "tcp_ports": []}]},
        {"management": [{"interface": "mgmt0", "prefixes": ["10.0.0.0/8"]}]},
        {"management": {}},
        {"uids": {"opener": 1, "guard": 2, "gateway": 3}},
        {"uids": {"opener": 1, "guard": 2, "gateway": 3, "control": 3}},
        {"uids": {"opener": 0, "guard": 2, "gateway": 3, "control": 4}},
        {"max_open_seconds": 0},
        {"max_open_seconds": 31},
        {"max_open_seconds": 8.0},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_field_that_is_not_acceptable_stops_the_start(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_config(changed(**changes))


@pytest.mark.parametrize("name", sorted(set(json.loads(CONFIG_TEXT)) - {"max_open_seconds"}))
def test_no_field_may_be_absent(name: str) -> None:
    fields = json.loads(CONFIG_TEXT)
    del fields[name]
    with pytest.raises(ConfigError):
        parse_config(json.dumps(fields))


def test_a_repeated_name_is_refused() -> None:
    with pytest.raises(ConfigError):
        parse_config(CONFIG_TEXT.replace('"table": "sallyport"', '"table": "sallyport", "table": "other"'))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(CONFIG_TEXT))), json_values)
def test_any_value_in_any_field_is_accepted_whole_or_refused(name: str, value: object) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_config(changed(**{name: value})), Config)


@given(st.text(max_size=60))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text)
