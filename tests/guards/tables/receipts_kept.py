"""Guards of the receipts that the plant keeps, and of what they expose."""

from tests.guards.guard import Guard

_SERVICE = "tests/unit/broker/receipts/test_service.py"
_STORE = "tests/unit/broker/receipts/test_store.py"
_CHECK = "tests/unit/broker/app/test_receipt_check.py"
_VERIFIER = "tests/unit/recorder/test_verify_options.py"

GUARDS = (
    Guard(
        promise="a receipt is the word of the session's own device",
        file="broker/receipts/service.py",
        text="        if record.device_id != device.id or signed.device_key != key:\n",
        without="        if record.device_id != device.id:\n",
        tests=(f"{_SERVICE}::test_another_key_another_device_and_no_session_are_not_told_apart",),
    ),
    Guard(
        promise="a receipt that says something else than the plant knows is not kept",
        file="broker/receipts/service.py",
        text="        if field is not None:\n            raise errors.differs(record.id, field)\n",
        without="",
        tests=(f"{_SERVICE}::test_a_receipt_that_says_something_else_is_told_and_not_kept",),
    ),
    Guard(
        promise="another receipt never takes the place of the one that is kept",
        file="broker/receipts/service.py",
        text="                if bytes(row.line) != signed.line:\n",
        without="                if False:\n",
        tests=(f"{_SERVICE}::test_a_sealed_session_is_confirmed_once",),
    ),
    Guard(
        promise="a device that is shut out gives no receipt",
        file="broker/receipts/service.py",
        text="        device = self._devices.verify_connection(device_id, certificate_der)\n",
        without="        device = self._devices.get(device_id)\n",
        tests=(f"{_SERVICE}::test_a_device_that_is_not_trusted_any_more_is_not_heard",),
    ),
    Guard(
        promise="the database lets no receipt be rewritten",
        file="broker/receipts/store.py",
        text='        refuses_when="OLD.line IS NOT NULL OR NEW.line IS NULL "\n',
        without='        refuses_when="NEW.line IS NULL "\n',
        tests=(f"{_STORE}::test_a_receipt_is_never_rewritten",),
    ),
    Guard(
        promise="the verification of a site holds receipts against the trail's recordings",
        file="broker/app/receipt_check.py",
        text="    if recording is None or not _agrees(signed.receipt, recording):\n",
        without="    if recording is None:\n",
        tests=(f"{_CHECK}::test_a_rewritten_recording_contradicts_the_receipt_that_the_plant_keeps",),
    ),
    Guard(
        promise="a history rewritten with every key of the plant contradicts the vendor's receipt",
        file="recorder/verify.py",
        text="            and (vouched.frames, vouched.chain_sha256) != (followed.frames, followed.chain)\n",
        without="            and vouched.frames != followed.frames\n",
        tests=(f"{_VERIFIER}::test_history_written_anew_with_every_key_of_the_plant_contradicts_the_receipt",),
    ),
)
