"""What the database itself refuses, whatever the product's own checks say."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from broker.receipts.store import GUARDS
from tests.unit.broker.receipts.giving import Giving, giving
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def site(plant: Plant) -> Giving:
    made = giving(plant)
    made.recorded()
    return made


def refused(site: Giving, statement: str, words: str) -> None:
    with pytest.raises(IntegrityError, match=words), site.plant.world.database.unit_of_work() as unit:
        unit.session.connection().execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE session_receipts SET line = 'x'",
        "UPDATE session_receipts SET state = 'refused'",
        "UPDATE session_receipts SET state = 'missing', line = NULL",
    ],
)
def test_a_receipt_is_never_rewritten(site: Giving, statement: str) -> None:
    site.give(site.signed(site.due()[0]))
    refused(site, statement, "a receipt stays what the device signed")


def test_neither_a_receipt_nor_its_absence_goes_away(site: Giving) -> None:
    site.plant.pass_time(minutes=15)
    assert site.receipts.enter_missing() == 1
    refused(site, "DELETE FROM session_receipts", "a receipt stays, and so does its absence")
    refused(site, "UPDATE session_receipts SET device_id = 'dev_2', line = 'x'", "stays what the device signed")
    refused(site, "UPDATE session_receipts SET state = 'received'", "stays what the device signed")


def test_the_guards_have_names_of_their_own() -> None:
    assert len({one.name for one in GUARDS}) == len(GUARDS)
