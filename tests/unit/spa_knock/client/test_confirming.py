"""The agent asks about this device's sessions and confirms them, whoever is signed in; what it signs is kept first."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spa_knock.client import receipt_folder
from spa_knock.client.confirming import (
    FIRST_SECONDS,
    INTERVAL_SECONDS,
    SOON_SECONDS,
    STARTING_SECONDS,
    Confirmer,
    Confirming,
    Schedule,
)
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home, write_private
from spa_knock.client.keys import bind_of, load_device_key
from spa_knock.client.knocking import Knocker
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.vendor_link import VendorLink, tls_context_of_key
from spa_knock.wire.receipt import Receipt, make, read
from tests.unit.spa_knock.client.fake_site import FakeSite
from tests.unit.spa_knock.client.test_receipts import NOW_MS, ended, item, running
from tests.unit.spa_knock.wire.receipts import spki

# -- when


def test_a_knock_begins_questions_that_end_when_no_session_came() -> None:
    schedule = Schedule()
    assert schedule.next_at is None
    schedule.knocked(100.0)
    assert schedule.next_at == 100.0 + FIRST_SECONDS
    schedule.asked(105.0, is_open=False)
    assert schedule.next_at == 105.0 + INTERVAL_SECONDS
    schedule.asked(100.0 + STARTING_SECONDS, is_open=False)
    assert schedule.next_at is None


def test_while_something_is_open_the_questions_go_on() -> None:
    schedule = Schedule()
    schedule.signed_in(10.0)
    assert schedule.next_at == 10.0
    schedule.asked(10_000.0, is_open=True)
    assert schedule.next_at == 10_000.0 + INTERVAL_SECONDS
    schedule.knocked(10_001.0)
    assert schedule.next_at == 10_001.0 + FIRST_SECONDS
    schedule.asked(20_000.0, is_open=False)
    assert schedule.next_at is None


def test_when_an_ssh_ends_the_questions_come_quickly_and_then_as_before() -> None:
    schedule = Schedule()
    schedule.asked(100.0, is_open=True)
    schedule.left(101.0)
    waits, now = [], 101.0
    for _ in range(6):
        assert schedule.next_at is not None
        waits.append(schedule.next_at - now)
        now = schedule.next_at
        schedule.asked(now, is_open=True)
    assert waits == [*SOON_SECONDS, INTERVAL_SECONDS, INTERVAL_SECONDS]


def test_a_session_that_left_with_its_receipt_is_asked_about_no_more() -> None:
    schedule = Schedule()
    schedule.left(10.0)
    schedule.asked(11.0, is_open=False)
    assert schedule.next_at is None


def test_a_silent_site_is_asked_more_and_more_rarely_and_not_for_ever() -> None:
    schedule = Schedule()
    schedule.signed_in(0.0)
    waits = []
    while schedule.next_at is not None:
        now = schedule.next_at
        schedule.failed(now)
        waits.append(schedule.next_at - now if schedule.next_at is not None else None)
    assert waits == [30, 60, 120, 240, *[300] * 15, None]
    schedule.signed_in(9.0)
    schedule.failed(9.0)
    assert schedule.next_at == 9.0 + 30


# -- what


class Rig:
    """A confirmer of the enrolled device, and the site's side of it."""

    def __init__(self, site: FakeSite, home: Home) -> None:
        self.site = site
        self.home = home
        self.enrolment = home.enrolment()
        self.key = load_device_key(home.key_path)
        self.folder = ReceiptFolder(home.path)
        context = tls_context_of_key(self.enrolment.site, home.certificate_path, self.key, home.path)
        knocker = Knocker.of_home(home, self.enrolment.site, self.key.sign)
        self.link = VendorLink(self.enrolment.site, knocker, bind_of(self.key.public_key()), context)
        self.confirmer = Confirmer(home, self.folder, self.link, self.key, lambda: NOW_MS)

    def told(self, made: Callable[..., Receipt], **changes: object) -> Receipt:
        ours = {"site": self.enrolment.site.audience.hex(), "device_id": self.enrolment.device_id}
        return made(**{**ours, **changes})

    def is_due(self, *told: Receipt) -> None:
        self.site.due = [item(one) for one in told]

    def asked_for(self, target: str = "press-01", grant_id: str = "grt_1") -> None:
        self.folder.note(lambda notes: notes.asking(grant_id, target, NOW_MS))


@pytest.fixture
def rig(site: FakeSite, enrolled: Home) -> Iterator[Rig]:
    found = Rig(site, enrolled)
    yield found
    found.link.close()


def test_a_session_is_watched_while_it_runs_and_confirmed_when_it_is_over(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(running))
    assert rig.confirmer.confirm() is True
    assert rig.site.receipts == []
    rig.is_due(rig.told(ended))
    assert rig.confirmer.confirm() is False
    (line,) = rig.site.receipts
    signed = read(line.encode())
    assert signed.device_key == spki(rig.key)
    assert signed.receipt == rig.told(ended, heads_seen=1, signed_at_ms=NOW_MS)
    assert rig.folder.kept("ses_1") == line.encode()
    notes = rig.folder.notes()
    assert notes.sessions["ses_1"].answer == "received"
    assert notes.devices == {rig.enrolment.device_id: spki(rig.key)}
    rig.is_due()
    assert rig.confirmer.confirm() is False


def test_nobody_has_to_be_signed_in(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended))
    rig.site.tokens.clear()
    rig.confirmer.confirm()
    assert len(rig.site.receipts) == 1


def test_a_receipt_that_could_not_be_sent_is_kept_and_sent_again_as_it_is(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended))
    rig.site.receipt_refusal = (503, "unavailable")
    with pytest.raises(ClientError):
        rig.confirmer.confirm()
    rig.site.receipt_refusal = None
    later = Confirmer(rig.home, rig.folder, rig.link, rig.key, lambda: NOW_MS + 60_000)
    assert later.confirm() is False
    first, second = rig.site.receipts
    assert first == second


def test_after_a_crash_between_keeping_and_sending_the_kept_line_is_sent(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended))
    kept = make(rig.told(ended, heads_seen=5, signed_at_ms=NOW_MS - 1), spki(rig.key), rig.key.sign)
    rig.folder.keep(kept)
    assert rig.confirmer.confirm() is False
    assert rig.site.receipts == [kept.line.decode()]


def test_what_cannot_be_kept_is_not_sent_and_holds_up_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.asked_for()
    rig.is_due(*(rig.told(ended, session_id=f"ses_{number}") for number in range(3)))

    def write(path: Path, data: bytes) -> None:
        if path.name == "ses_1.receipt":
            raise OSError(28, "No space left on device")
        write_private(path, data)

    monkeypatch.setattr(receipt_folder, "write_private", write)
    confirming = Confirming(rig.folder, lambda: rig.confirmer)
    confirming.ask_now()
    assert [read(line.encode()).receipt.session_id for line in rig.site.receipts] == ["ses_0", "ses_2"]
    assert "No space left on device" in confirming.trouble
    assert confirming.is_waiting
    monkeypatch.undo()
    confirming.ask_now()
    assert (len(rig.site.receipts), confirming.trouble) == (3, "")


def test_a_full_folder_sends_nothing_more(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_folder, "MOST_RECEIPTS", 0)
    rig.asked_for()
    rig.is_due(rig.told(ended))
    with pytest.raises(ClientError) as full:
        rig.confirmer.confirm()
    assert full.value.code == "receipts_full"
    assert rig.site.receipts == []


def test_without_room_for_notes_nothing_is_signed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.asked_for()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(receipt_folder, "write_private", full)
    for told in (rig.told(running), rig.told(ended)):
        rig.is_due(told)
        with pytest.raises(OSError, match="No space left"):
            rig.confirmer.confirm()
    assert rig.site.receipts == []


def test_what_the_plant_will_not_take_is_not_sent_again(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended))
    rig.site.receipt_refusal = (409, "sessions.receipt_differs")
    assert rig.confirmer.confirm() is False
    assert rig.confirmer.confirm() is False
    assert len(rig.site.receipts) == 1
    assert rig.folder.notes().sessions["ses_1"].answer == "sessions.receipt_differs"


def test_a_receipt_that_comes_too_early_is_sent_again_later(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended))
    rig.site.receipt_refusal = (409, "sessions.receipt_too_early")
    assert rig.confirmer.confirm() is True
    rig.site.receipt_refusal = None
    assert rig.confirmer.confirm() is False
    assert len(rig.site.receipts) == 2


def test_a_rewritten_end_is_refused_and_the_refusal_is_signed_and_kept(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(running))
    rig.confirmer.confirm()
    rig.is_due(rig.told(ended, header_sha256="12" * 32))
    rig.confirmer.confirm()
    (line,) = rig.site.receipts
    assert read(line.encode()).receipt.refusal == "other_recording"
    assert rig.folder.kept("ses_1") == line.encode()


def test_a_session_that_nobody_here_asked_for_is_refused_and_fills_no_folder(rig: Rig) -> None:
    rig.asked_for("press-02")
    rig.is_due(rig.told(running, grant_id="grt_2", session_id="ses_2"), rig.told(ended, grant_id="grt_2"))
    rig.confirmer.confirm()
    (line,) = rig.site.receipts
    assert read(line.encode()).receipt.refusal == "other_target"
    assert list(rig.folder.files()) == []
    assert rig.folder.notes().sessions == {}
    rig.is_due(rig.told(ended, session_id="ses_3"))
    rig.confirmer.confirm()
    assert read(rig.site.receipts[-1].encode()).receipt.refusal == "other_target"


def test_what_cannot_be_kept_is_not_sent_and_that_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirming = Confirming(rig.folder, lambda: rig.confirmer)
    rig.asked_for()
    rig.is_due(rig.told(ended))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(rig.folder, "keep", full)
        confirming.ask_now()
    assert rig.site.receipts == []
    assert confirming.trouble == f"{rig.folder.path} cannot be written: No space left on device. Make room on the disk."
    assert confirming.is_waiting
    confirming.ask_now()
    assert len(rig.site.receipts) == 1
    assert confirming.trouble == ""


def test_a_full_folder_is_told_and_nothing_is_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirming = Confirming(rig.folder, lambda: rig.confirmer)
    rig.asked_for()
    rig.is_due(rig.told(ended))
    monkeypatch.setattr("spa_knock.client.receipt_folder.MOST_RECEIPTS", 0)
    confirming.ask_now()
    assert rig.site.receipts == []
    assert "No more receipts can be kept" in confirming.trouble


def test_without_a_network_what_was_kept_waits_and_is_sent_as_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirming = Confirming(rig.folder, lambda: rig.confirmer)
    rig.asked_for()
    rig.is_due(rig.told(ended))
    rig.site.receipt_refusal = (503, "unavailable")
    confirming.ask_now()
    rig.site.receipt_refusal = None
    rig.link.close()

    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    with monkeypatch.context() as patched:
        patched.setattr("spa_knock.client.vendor_link.connect_within", unreachable)
        confirming.ask_now()
    assert "Test Plant" in confirming.trouble
    assert confirming.is_waiting
    assert len(rig.site.receipts) == 1
    confirming.ask_now()
    first, second = rig.site.receipts
    assert first == second
    assert confirming.trouble == ""


def test_an_answer_that_is_none_is_told_and_nothing_is_signed(rig: Rig) -> None:
    confirming = Confirming(rig.folder, lambda: rig.confirmer)
    rig.asked_for()
    rig.site.due = [{**item(rig.told(ended)), "head": "zz"}]
    confirming.ask_now()
    assert "The site's answer cannot be used" in confirming.trouble
    assert rig.site.receipts == []


_KILLED_BEFORE_SENDING = """
import os, signal, sys
from pathlib import Path
from spa_knock.client.agent import Holder, Home, Verbs
from spa_knock.client.confirming import Confirmer

Confirmer._send = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Verbs(Home(Path(sys.argv[1])), Holder()).confirming.ask_now()
"""


def test_an_agent_that_was_killed_between_keeping_and_sending_is_made_good_by_the_next(rig: Rig) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended))
    killed = subprocess.run([sys.executable, "-c", _KILLED_BEFORE_SENDING, str(rig.home.path)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert rig.site.receipts == []
    kept = rig.folder.kept("ses_1")
    assert kept is not None
    assert rig.confirmer.confirm() is False
    assert rig.site.receipts == [kept.decode()]


def test_a_kept_receipt_that_was_altered_is_never_sent(rig: Rig) -> None:
    confirming = Confirming(rig.folder, lambda: rig.confirmer)
    rig.asked_for()
    rig.is_due(rig.told(ended))
    rig.site.receipt_refusal = (503, "unavailable")
    confirming.ask_now()
    (path,) = rig.folder.files()
    path.write_bytes(path.read_bytes().replace(b"press-01", b"press-\xff2"))
    confirming.ask_now()
    assert len(rig.site.receipts) == 1
    assert "it is not a receipt" in confirming.trouble


@pytest.mark.parametrize("other", [{"device_id": "dev_other"}, {"site": "12" * 8}])
def test_nothing_is_signed_for_another_site_or_about_another_device(rig: Rig, other: dict[str, object]) -> None:
    rig.asked_for()
    rig.is_due(rig.told(ended, **other))
    assert rig.confirmer.confirm() is False
    assert rig.site.receipts == []


def test_a_site_that_knows_no_receipts_is_left_in_peace(rig: Rig) -> None:
    rig.site.due = None
    rig.site.tokens.add("")
    assert rig.confirmer.confirm() is False


def test_a_site_that_refuses_is_told_as_such(rig: Rig) -> None:
    rig.site.due = None
    with pytest.raises(ClientError) as refused:
        rig.confirmer.confirm()
    assert refused.value.code == "not_signed_in"


# -- the thread


def confirming_of(folder: Path, *rounds: bool | ClientError) -> tuple[Confirming, list[int], threading.Event]:
    """A thread whose rounds go like this; the event is set when they were all there."""
    asked: list[int] = []
    done = threading.Event()

    class Rounds:
        def confirm(self) -> bool:
            asked.append(len(asked))
            if len(asked) == len(rounds):
                done.set()
            outcome = rounds[len(asked) - 1]
            if isinstance(outcome, ClientError):
                raise outcome
            return outcome

    return Confirming(ReceiptFolder(folder), lambda: Rounds()), asked, done  # type: ignore[arg-type, return-value]


def test_a_sign_in_begins_a_round_in_the_background(tmp_path: Path) -> None:
    confirming, asked, done = confirming_of(tmp_path, False)
    confirming.start()
    confirming.signed_in()
    assert done.wait(5)
    wait_for(lambda: not confirming.is_waiting)
    assert asked == [0]
    confirming.close()


def test_an_ssh_that_ended_begins_a_round_in_the_background(tmp_path: Path) -> None:
    confirming, asked, done = confirming_of(tmp_path, False)
    confirming.start()
    confirming.left()
    assert done.wait(5)
    wait_for(lambda: not confirming.is_waiting)
    assert asked == [0]
    confirming.close()


def test_a_failed_round_waits_for_the_next_one(tmp_path: Path) -> None:
    confirming, asked, _ = confirming_of(tmp_path, ClientError("no_answer", "a", "b"), False)
    confirming.ask_now()
    assert confirming.is_waiting
    confirming.ask_now()
    assert not confirming.is_waiting
    assert asked == [0, 1]


def test_a_locked_device_key_asks_nothing(tmp_path: Path) -> None:
    confirming = Confirming(ReceiptFolder(tmp_path), lambda: None)
    confirming.signed_in()
    confirming.ask_now()
    assert not confirming.is_waiting


def test_a_closed_one_asks_no_more(tmp_path: Path) -> None:
    confirming, asked, _ = confirming_of(tmp_path, False)
    confirming.close()
    confirming.start()
    confirming.signed_in()
    wait_for(lambda: not any(one.name == "confirming" for one in threading.enumerate()))
    assert asked == []


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)
