import copy
import tomllib
from typing import Any

import pytest

from broker.boundary.document import plan_from_document, settings_from_document
from broker.boundary.model import OtherTraffic, Transport
from broker.kernel.errors import Invalid

TEXT = """
other_traffic = "drop"
log_prefix = "plant7"
guarded_ports = [22, 3389]

[broker]
interface = "dmz0"
addresses = ["10.1.0.2", "fd00:1::2"]

[[zone]]
name = "Press shop"
interface = "plant0"
prefixes = ["10.2.0.0/16", "fd00:2::/64"]

[[zone.management]]
name = "press-4"
address = "10.2.0.5"
port = 22

[[zone.management]]
name = "press-5"
address = "fd00:2::5"
port = 161
protocol = "udp"

[[outside]]
name = "office"
interface = "off0"
"""


def a_document() -> dict[str, Any]:
    return copy.deepcopy(tomllib.loads(TEXT))


def test_a_document_is_a_plan() -> None:
    plan = plan_from_document(a_document())
    assert plan.other_traffic is OtherTraffic.DROP
    assert plan.guarded_ports == {22, 3389}
    assert [endpoint.transport for endpoint in plan.zones[0].management] == [Transport.TCP, Transport.UDP]
    assert plan.outside[0].interface == "off0"


def test_what_is_left_out_has_its_default() -> None:
    document = {key: value for key, value in a_document().items() if key in ("broker", "zone")}
    plan = plan_from_document(document)
    assert (plan.other_traffic, plan.log_prefix, plan.outside) == (OtherTraffic.KEEP, "sallyport", ())
    assert plan.guarded_ports == {22, 23, 3306, 3389}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ((), "zones"),
        (("broker",), "adress"),
        (("zone", 0), "management_ports"),
        (("zone", 0, "management", 0), "ports"),
        (("outside", 0), "prefixes"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_it(path: tuple[Any, ...], key: str) -> None:
    document = a_document()
    place: Any = document
    for step in path:
        place = place[step]
    place[key] = 1
    with pytest.raises(Invalid) as refusal:
        plan_from_document(document)
    assert str(refusal.value.params["field"]).endswith(key)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("broker", "interface", 7),
        ("broker", "addresses", "10.1.0.2"),
        ("broker", "addresses", ["dmz.example"]),
        ("", "guarded_ports", [True]),
        ("", "guarded_ports", ["22"]),
        ("", "other_traffic", "allow"),
        ("", "zone", {}),
        ("", "outside", [1]),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_that_names_its_key(section: str, key: str, value: object) -> None:
    document = a_document()
    (document[section] if section else document)[key] = value
    with pytest.raises(Invalid) as refusal:
        plan_from_document(document)
    assert key in str(refusal.value.params["field"])


def test_a_missing_key_and_a_prefix_with_host_bits_are_errors() -> None:
    document = a_document()
    del document["broker"]["interface"]
    with pytest.raises(Invalid, match=r"broker\.interface is missing"):
        plan_from_document(document)
    document = a_document()
    document["zone"][0]["prefixes"] = ["10.2.0.1/16"]
    with pytest.raises(Invalid, match="host bits"):
        plan_from_document(document)


def test_settings_take_no_targets_because_the_registry_has_them() -> None:
    document = a_document()
    with pytest.raises(Invalid, match=r"zone\.management"):
        settings_from_document(document)
    del document["zone"][0]["management"]
    assert settings_from_document(document).zones[0].management == ()
