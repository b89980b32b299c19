from collections.abc import Iterator

import pytest

from deploy.demo import boundary, netns
from deploy.demo.lab import (
    BROKER,
    OFFICE,
    PLANT_ADDRESS,
    PLANT_BY_HAND,
    ROUTER,
    VENDOR,
    Lab,
    LabError,
    router_rules,
)
from deploy.demo.target import HOSTNAME, Target

pytestmark = pytest.mark.netns


@pytest.fixture
def rules(lab: Lab, target: Target) -> Iterator[str]:
    """The product's rules, loaded; the router decides by itself again afterwards."""
    text = boundary.rendered(boundary.whole_plan(lab, HOSTNAME, target.port))
    boundary.load(lab, text)
    yield text
    lab.run(ROUTER, ["nft", "delete", "table", "inet", boundary.TABLE])
    lab.run(ROUTER, ["nft", "-f", "-"], text=router_rules(PLANT_BY_HAND))


def _reaches(lab: Lab, host: str, port: int = 22) -> bool:
    try:
        netns.connect(lab.namespace(host), PLANT_ADDRESS, port, 0.5).close()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("rules")
def test_with_the_products_rules_the_broker_alone_reaches_the_target(lab: Lab) -> None:
    assert [host for host in (BROKER, OFFICE, VENDOR) if _reaches(lab, host)] == [BROKER]


@pytest.mark.usefixtures("rules")
def test_without_the_products_rules_the_router_alone_would_let_others_in(lab: Lab) -> None:
    lab.run(ROUTER, ["nft", "flush", "chain", "inet", boundary.TABLE, "forward"])
    assert _reaches(lab, OFFICE)
    assert not _reaches(lab, OFFICE, 80)


def test_the_check_is_clean_and_finds_a_planted_rule(lab: Lab, rules: str) -> None:
    plan = boundary.whole_plan(lab, HOSTNAME, 22)
    assert boundary.check(plan, boundary.exported(lab)).returncode == 0
    lab.run(ROUTER, ["nft", "insert", "rule", "inet", boundary.TABLE, "forward", "iifname", "office0", "accept"])
    assert boundary.check(plan, boundary.exported(lab)).returncode == 1
    boundary.load(lab, rules)
    assert boundary.check(plan, boundary.exported(lab)).returncode == 0


def test_a_plan_that_the_product_does_not_take_says_why(lab: Lab) -> None:
    plan = boundary.whole_plan(lab, HOSTNAME, 22)
    plan.write_text("[broker]\n", encoding="utf-8")
    with pytest.raises(LabError, match="interface is missing"):
        boundary.rendered(plan)
