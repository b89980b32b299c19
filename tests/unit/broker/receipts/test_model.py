from broker.receipts.api import DueItem
from broker.receipts.model import Due, ReceiptState
from spa_knock.wire.receipt import Receipt


def test_what_is_due_is_what_a_receipt_says_but_for_the_devices_own_words() -> None:
    own = {"heads_seen", "signed_at_ms", "refusal"}
    assert set(Due.__dataclass_fields__) == set(Receipt.__dataclass_fields__) - own
    assert set(DueItem.model_fields) == set(Due.__dataclass_fields__)


def test_the_states_are_those_of_the_table() -> None:
    assert {one.value for one in ReceiptState} == {"received", "refused", "missing"}
