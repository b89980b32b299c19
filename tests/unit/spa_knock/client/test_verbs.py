"""The agent's verbs against a fake site: sign-in, calls, certificates and knocks for ssh."""

import base64
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from spa_knock.client import verbs
from spa_knock.client.control import ControlLink
from spa_knock.client.enrolment import enroll
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.grants import grant_bytes
from spa_knock.client.home import Home
from spa_knock.client.invite import parse_invite
from spa_knock.client.keys import load_device_key
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.session import Holder
from spa_knock.client.verbs import PART_BYTES
from spa_knock.wire.receipt import read
from tests.unit.spa_knock.client.conftest import RunningAgent
from tests.unit.spa_knock.client.fake_site import HOST_ALIAS, FakeSite
from tests.unit.spa_knock.client.test_receipts import ended, item


def refusal_of(agent: RunningAgent, kind: str, **fields: object) -> ClientError:
    with pytest.raises(ClientError) as refused:
        agent.ask(kind, **fields)
    return refused.value


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_login_signs_in_and_learns_clock_keys_address_and_host_authority(site: FakeSite, agent: RunningAgent) -> None:
    site.clock_ahead_ms = 5000
    answer = agent.login()
    assert answer["person"] == {"id": "psn_1", "username": "li.wei", "display_name": "Li Wei"}
    state = agent.home.knock_state()
    assert 4000 < state.clock_offset_ms < 6000
    assert state.seen_from == ("127.0.0.1", "127.0.0.1")
    enrolment = agent.home.enrolment()
    assert enrolment.username == "li.wei"
    assert enrolment.short_code is None
    assert enrolment.site.host_key_alias == HOST_ALIAS
    assert agent.home.known_hosts_path.read_text() == f"@cert-authority {HOST_ALIAS} {site.host_ca_line()}\n"
    status = agent.ask("status")
    assert status["signed_in"] is True
    assert "token" not in str(status)


def test_knocks_after_a_login_name_the_address_the_site_saw(site: FakeSite, agent: RunningAgent) -> None:
    agent.login()
    agent.ask("reach")
    before, after = site.heard[-2:]
    assert before.body.address is None
    assert str(after.body.address) == "127.0.0.1"
    assert after.body.stamp_ms > before.body.stamp_ms
    assert agent.home.knock_state().last_stamp_ms == after.body.stamp_ms


def test_a_refused_login_says_so_and_leaves_nobody_signed_in(site: FakeSite, agent: RunningAgent) -> None:
    site.login_status = 401
    refused = refusal_of(agent, "login", username="li.wei", password="wrong", totp="000000")
    assert refused.code == "not_signed_in"
    assert "refused" in refused.why
    assert agent.ask("status")["signed_in"] is False


@pytest.mark.parametrize("verb", ["prepare", "knock"])
def test_without_a_login_ssh_is_told_to_sign_in(agent: RunningAgent, verb: str) -> None:
    refused = refusal_of(agent, verb, name="plc3.plant", round=0)
    assert (refused.code, refused.exit_code) == ("not_signed_in", Exit.NOT_SIGNED_IN)


def test_a_lost_knock_is_followed_by_a_newer_one(site: FakeSite, agent: RunningAgent) -> None:
    site.deaf = 1
    assert agent.login()["type"] == "signed_in"
    assert site.refused == ["deaf"]


def test_one_connection_serves_several_calls(site: FakeSite, agent: RunningAgent) -> None:
    agent.login()
    for _ in range(3):
        agent.ask("call", method="GET", path="/targets", body=None)
    assert site.connections == 2  # the enrolment's and this one


def test_a_closed_connection_is_replaced(site: FakeSite, agent: RunningAgent) -> None:
    site.close_after_answer = True
    agent.login()
    assert agent.ask("call", method="GET", path="/targets", body=None)["status"] == 200


def test_a_long_answer_crosses_the_control_socket_whole(site: FakeSite, agent: RunningAgent) -> None:
    site.targets = 3 * PART_BYTES // 1000
    agent.login()
    with ControlLink(agent.home.run_path / "control.sock") as link:
        status, body = link.call("GET", "/targets")
        items = body["items"]
        assert status == 200
        assert isinstance(items, list)
        assert len(items) == site.targets
        assert link.ask("status")["signed_in"] is True


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/login"), ("POST", "/enrol"), ("DELETE", "/targets"), ("GET", "/targets/../login"), ("GET", "x")],
)
def test_only_listed_calls_are_made(agent: RunningAgent, method: str, path: str) -> None:
    assert refusal_of(agent, "call", method=method, path=path, body=None).code == "usage"


def test_a_session_that_the_site_ended_is_forgotten(site: FakeSite, agent: RunningAgent) -> None:
    agent.login()
    site.tokens.clear()
    assert agent.ask("call", method="GET", path="/targets", body=None)["status"] == 401
    assert agent.ask("status")["signed_in"] is False


def test_prepare_fetches_one_certificate_and_is_silent_afterwards(site: FakeSite, agent: RunningAgent) -> None:
    grant_id = site.approve()
    agent.login()
    assert agent.ask("prepare", name="plc3.plant")["grant_id"] == grant_id
    calls = len(site.calls)
    assert agent.ask("prepare", name="PLC3.plant")["grant_id"] == grant_id
    assert len(site.calls) == calls
    identities, _ = agent.holder.identities()
    assert len(identities) == 1


def test_the_target_prepared_last_is_listed_first(site: FakeSite, agent: RunningAgent) -> None:
    site.approve("plc3")
    site.approve("hmi1")
    agent.login()
    for name in ("plc3.plant", "hmi1.plant", "plc3.plant"):
        agent.ask("prepare", name=name)
    identities, _ = agent.holder.identities()
    assert [one.comment.split()[0] for one in identities] == ["plc3", "hmi1"]


def test_an_account_in_the_name_chooses_among_grants(site: FakeSite, agent: RunningAgent) -> None:
    site.approve(account="root")
    wanted = site.approve(account="service", ends=600)
    agent.login()
    assert agent.ask("prepare", name="service+plc3.plant")["grant_id"] == wanted


def test_an_ssh_knock_names_grant_and_session_key(site: FakeSite, agent: RunningAgent) -> None:
    grant_id = site.approve()
    agent.login()
    knocked = agent.ask("knock", name="plc3.plant", round=0)
    assert (knocked["address"], knocked["port"]) == ("127.0.0.1", site.port(2))
    assert len(base64.b64decode(str(knocked["proof_b64"]))) == 48
    body = site.newest_knock(2)
    session = agent.holder.current()
    assert session is not None
    assert (body.service, body.grant, body.bind) == (2, grant_bytes(grant_id), session.key.bind)


def test_after_an_unanswered_knock_a_grant_that_was_taken_back_is_named(site: FakeSite, agent: RunningAgent) -> None:
    site.approve()
    agent.login()
    agent.ask("knock", name="plc3.plant", round=0)
    site.grants[0]["state"] = "revoked"
    assert refusal_of(agent, "knock", name="plc3.plant", round=1).code == "denied"
    assert agent.holder.identities()[0] == []


def test_after_an_unanswered_knock_a_newer_grant_takes_the_place_of_a_revoked_one(
    site: FakeSite, agent: RunningAgent
) -> None:
    site.approve()
    agent.login()
    agent.ask("knock", name="plc3.plant", round=0)
    site.grants[0]["state"] = "revoked"
    newer = site.approve()
    assert agent.ask("knock", name="plc3.plant", round=1)["type"] == "knocked"
    wait_for(lambda: site.newest_knock(2).grant == grant_bytes(newer))
    assert [one.comment for one in agent.holder.identities()[0]] == [f"plc3 {newer}"]


def test_after_a_lost_knock_the_same_grant_knocks_again(site: FakeSite, agent: RunningAgent) -> None:
    grant_id = site.approve()
    agent.login()
    agent.ask("knock", name="plc3.plant", round=0)
    first, (identities, _) = site.newest_knock(2), agent.holder.identities()
    agent.ask("knock", name="plc3.plant", round=1)
    wait_for(lambda: site.newest_knock(2).stamp_ms > first.stamp_ms)
    assert site.newest_knock(2).grant == grant_bytes(grant_id)
    assert agent.holder.identities()[0] == identities


def test_after_the_last_round_the_likely_causes_are_named(site: FakeSite, agent: RunningAgent) -> None:
    site.approve()
    agent.login()
    refused = refusal_of(agent, "knock", name="plc3.plant", round=4)
    assert refused.exit_code is Exit.UNREACHABLE
    for cause in ("clock", "UDP", "device"):
        assert cause in refused.why


def test_without_a_grant_the_reason_is_the_requests(site: FakeSite, agent: RunningAgent) -> None:
    agent.login()
    asked = {"target": "plc3", "reason": "r", "work_order": "w", "duration_seconds": 60}
    agent.ask("call", method="POST", path="/access-requests", body=asked)
    assert refusal_of(agent, "prepare", name="plc3.plant").code == "not_approved_yet"
    site.requests[0]["state"] = "denied"
    assert refusal_of(agent, "prepare", name="plc3.plant").code == "denied"
    site.approve(begins=3600, ends=7200)
    assert refusal_of(agent, "prepare", name="plc3.plant").code == "outside_window"


def test_the_proxy_repeats_why_prepare_failed_without_asking_again(site: FakeSite, agent: RunningAgent) -> None:
    agent.login()
    why = refusal_of(agent, "prepare", name="plc3.plant").why
    calls = len(site.calls)
    assert refusal_of(agent, "knock", name="plc3.plant", round=0).why == why
    assert len(site.calls) == calls
    site.approve()
    assert agent.ask("knock", name="plc3.plant", round=0)["type"] == "knocked"


def test_logout_forgets_everything_here_and_at_the_site(site: FakeSite, agent: RunningAgent) -> None:
    site.approve()
    agent.login()
    agent.ask("prepare", name="plc3.plant")
    assert agent.ask("logout") == {"v": 1, "type": "signed_out", "was_signed_in": True, "site_told": True}
    assert site.tokens == set()
    assert agent.holder.identities()[0] == []


def test_an_unknown_verb_and_a_missing_field_are_refused(agent: RunningAgent) -> None:
    assert refusal_of(agent, "dance").code == "usage"
    assert refusal_of(agent, "login", username="x").code == "refused"


def test_the_certificates_end_is_shown_in_utc(site: FakeSite, agent: RunningAgent) -> None:
    site.approve()
    agent.login()
    agent.ask("prepare", name="plc3.plant")
    certificates = agent.ask("status")["certificates"]
    assert isinstance(certificates, list)
    until = dt.datetime.fromisoformat(certificates[0]["valid_before"])
    assert dt.timedelta(0) < until - dt.datetime.now(dt.UTC) < dt.timedelta(minutes=6)


def test_a_locked_device_does_nothing_until_it_is_unlocked_and_never_lies_open_on_the_disk(
    site: FakeSite, home: Home
) -> None:
    enroll(home, parse_invite(site.invite()), "laptop 7", replace=False, passphrase="correct horse")
    agent_verbs = verbs.Verbs(home, Holder())
    message = {"username": "li.wei", "password": "correct horse", "totp": "123456"}
    assert agent_verbs.handle({"type": "status"})[0]["locked"] is True
    for refused, passphrase in (
        (dict(type="login", **message), None),
        ({"type": "unlock", "passphrase": "wrong horse"}, ""),
    ):
        with pytest.raises(ClientError) as error:
            agent_verbs.handle(refused)
        assert error.value.code == "key_locked", passphrase
    agent_verbs.handle({"type": "unlock", "passphrase": "correct horse"})
    assert agent_verbs.handle({"type": "login", **message})[0]["type"] == "signed_in"
    key = load_device_key(home.key_path, "correct horse")
    for path in home.path.rglob("*"):
        assert not path.is_file() or b"BEGIN PRIVATE KEY" not in path.read_bytes()
        assert not path.is_file() or key.private_bytes_raw() not in path.read_bytes()
    assert not list(home.path.glob(".tls-*"))
    agent_verbs.close()


def test_a_knock_for_ssh_notes_what_its_receipt_may_be_for(site: FakeSite, agent: RunningAgent) -> None:
    grant_id = site.approve()
    agent.login()
    agent.ask("knock", name="plc3.plant", round=0)
    asked = ReceiptFolder(agent.home.path).notes().asked
    assert {one: note.target for one, note in asked.items()} == {grant_id: "plc3"}


def test_signing_out_first_confirms_what_is_over(site: FakeSite, agent: RunningAgent) -> None:
    grant_id = site.approve()
    agent.login()
    agent.ask("knock", name="plc3.plant", round=0)
    enrolment = agent.home.enrolment()
    ours = {"site": enrolment.site.audience.hex(), "device_id": enrolment.device_id}
    site.due = [item(ended(**ours, target="plc3", grant_id=grant_id))]
    assert agent.ask("logout")["was_signed_in"] is True
    (line,) = site.receipts
    assert read(line.encode()).receipt.refusal == ""


def test_a_note_that_cannot_be_kept_disturbs_no_connection_and_is_told(site: FakeSite, agent: RunningAgent) -> None:
    grant_id = site.approve()
    agent.login()
    folder = ReceiptFolder(agent.home.path)
    folder.note(lambda notes: notes.asking("grt_before", "plc1", 1))
    (folder.path / "watched.json").write_text("no JSON")
    assert agent.ask("knock", name="plc3.plant", round=0)["type"] == "knocked"
    told = agent.ask("status")["receipts"]
    assert isinstance(told, dict)
    assert "watched.json cannot be used" in told["trouble"]
    # It was remembered all the same: once the file is gone, the session gets its receipt.
    (folder.path / "watched.json").unlink()
    enrolment = agent.home.enrolment()
    ours = {"site": enrolment.site.audience.hex(), "device_id": enrolment.device_id}
    site.due = [item(ended(**ours, target="plc3", grant_id=grant_id))]
    agent.verbs.confirming.ask_now()
    assert read(site.receipts[0].encode()).receipt.refusal == ""
    assert agent.ask("status")["receipts"] == {"waiting": True, "trouble": ""}


def test_an_end_of_ssh_is_noticed_when_the_agent_looks_around(site: FakeSite, agent: RunningAgent) -> None:
    site.approve()
    agent.login()
    ssh = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    agent.ask("knock", name="plc3.plant", round=0, ssh_pid=ssh.pid)
    left: list[bool] = []
    agent.verbs.confirming.left = lambda: left.append(True)  # type: ignore[method-assign]
    agent.verbs.look_around()
    assert left == []
    ssh.communicate(b"\n", timeout=20)
    wait_for(lambda: left == [True])
    agent.verbs.look_around()
    assert left == [True]


@pytest.mark.parametrize("ssh_pid", ["7", -1, 0, None, 2**63 - 1])
def test_a_process_number_that_is_none_disturbs_no_knock(site: FakeSite, agent: RunningAgent, ssh_pid: object) -> None:
    site.approve()
    agent.login()
    assert agent.ask("knock", name="plc3.plant", round=0, ssh_pid=ssh_pid)["type"] == "knocked"
