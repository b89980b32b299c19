"""The `sally` command from enrolment to sign-out, as a script would use it."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from spa_knock.client import cli
from spa_knock.client.errors import Exit
from spa_knock.client.home import Home
from tests.unit.spa_knock.client.conftest import RunningAgent
from tests.unit.spa_knock.client.fake_site import FakeSite


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, object]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


Run = Callable[..., Done]


@pytest.fixture
def sally(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("SALLY_HOME", str(home.path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    def run(*words: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["sally", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def signed_in(agent: RunningAgent, sally: Run) -> Run:
    agent.login()
    return sally


WISH = ("request", "plc3", "--reason", "pump stops", "--work-order", "WO-7", "--for", "2h")


def test_enrolment_from_file_text_and_standard_input(site: FakeSite, sally: Run, tmp_path: Path) -> None:
    path = tmp_path / "invite"
    path.write_text(site.invite() + "\n")
    done = sally("enroll", str(path), "--name", "laptop 7", "--json")
    assert done.code == Exit.OK
    assert done.data["short_code"] == "7K2M-Q9"
    again = sally("enroll", site.invite())
    assert again.code == Exit.FAILED
    assert "--replace" in again.err
    talked = sally("enroll", "-", "--replace", stdin=site.invite())
    assert talked.code == Exit.OK
    assert "Short code: 7K2M-Q9" in talked.out


@pytest.mark.parametrize("invite", ["sallyport-invite-1.AAAA", "/nowhere/invite"])
def test_a_bad_invite_is_a_usage_error(sally: Run, invite: str) -> None:
    assert sally("enroll", invite).code == Exit.USAGE


def test_the_persons_language_is_spoken_from_the_first_word(
    site: FakeSite, sally: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALLY_LANG")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert sally("status").err.startswith("x 此电脑尚未登记：")
    assert "短代码（Short code）：7K2M-Q9" in sally("enroll", site.invite(), "--name", "laptop 7").out
    assert "登录        否（请运行 sally login）" in sally("status").out
    assert "处理：" in sally("doctor", "--offline").out
    assert "登录。会启动后台代理" in sally("login", "--help").out
    assert sally("status", "--json").data["signed_in"] is False
    monkeypatch.setenv("SALLY_LANG", "en")
    assert "signed in   no (sally login)" in sally("status").out


def test_everything_but_enrolment_needs_a_device(sally: Run) -> None:
    for words in (["login"], ["status"], ["targets"], ["requests"], ["activate"], list(WISH)):
        done = sally(*words)
        assert (done.code, done.out) == (Exit.POSTURE, ""), words
        assert "sally enroll" in done.err


def test_without_a_login_lists_end_with_their_own_code(agent: RunningAgent, sally: Run) -> None:
    done = sally("targets", "--json")
    assert (done.code, done.out) == (Exit.NOT_SIGNED_IN, "")
    assert json.loads(done.err)["error"]["code"] == "not_signed_in"


def test_a_script_signs_in_with_files(agent: RunningAgent, sally: Run, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    (tmp_path / "code").write_text("123 456\n")
    done = sally(
        "login",
        *("--username", "li.wei", "--password-file", str(tmp_path / "password")),
        *("--totp-file", str(tmp_path / "code"), "--json"),
    )
    assert done.code == Exit.OK
    assert done.data["site"] == "Test Plant"
    assert sally("login", "--password-file", "-", "--totp-file", "-", stdin="correct horse\n123456\n").code == Exit.OK
    assert sally("login", "--password-file", "-", "--totp", "123456", stdin="wrong\n").code == Exit.NOT_SIGNED_IN
    assert sally("login", "--totp", "123456").code == Exit.USAGE


def test_activation_shows_the_authenticators_secret(agent: RunningAgent, sally: Run) -> None:
    words = ("activate", "--token-file", "-", "--password-file", "-")
    done = sally(*words, stdin="token-1\ncorrect horse battery\n")
    assert done.code == Exit.OK
    assert "JBSWY3DPEHPK3PXP" in done.out
    refused = sally(*words, stdin="token-2\ncorrect horse battery\n")
    assert (refused.code, "JBSW" in refused.out) == (Exit.NOT_SIGNED_IN, False)


def test_status_tells_who_is_signed_in(signed_in: Run) -> None:
    data = signed_in("status", "--json").data
    assert (data["signed_in"], data["agent_running"]) == (True, True)
    assert "Li Wei" in signed_in("status").out


def test_targets_and_requests_are_listed(site: FakeSite, signed_in: Run) -> None:
    assert signed_in("targets").out.startswith("TARGET")
    assert signed_in("requests").out == "No requests.\n"
    asked = signed_in(*WISH, "--account", "root", "--from", "2026-11-20T09:00:00+08:00", "--json")
    assert asked.code == Exit.OK
    assert asked.data["state"] == "submitted"
    assert site.requests[0]["starts_at"] == "2026-11-20T01:00:00Z"
    assert "WO-7" in signed_in("requests").out
    items = signed_in("requests", "--json").data["items"]
    assert isinstance(items, list)
    assert len(items) == 1


@pytest.mark.parametrize(
    ("state", "code"), [("approved", Exit.OK), ("denied", Exit.DENIED), ("lapsed", Exit.OUTSIDE_WINDOW)]
)
def test_waiting_ends_with_the_decision(
    site: FakeSite, signed_in: Run, monkeypatch: pytest.MonkeyPatch, state: str, code: Exit
) -> None:
    def decide(_seconds: float) -> None:
        site.requests[0]["state"] = state

    monkeypatch.setattr("time.sleep", decide)
    done = signed_in(*WISH, "--wait")
    assert done.code == code
    assert state in done.out
    assert "submitted" in done.err


def test_an_odd_length_is_a_usage_error(signed_in: Run) -> None:
    assert signed_in(*WISH[:-1], "soon").code == Exit.USAGE
    assert signed_in("request", "plc3").code == Exit.USAGE


def test_ssh_config_is_printed_installed_and_removed(signed_in: Run, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("Host x\n")
    assert "ProxyUseFdpass yes" in signed_in("ssh-config", "--print").out
    assert signed_in("ssh-config", "--install", "--file", str(path)).code == Exit.OK
    assert path.read_text().splitlines()[1].startswith("Include ")
    assert signed_in("ssh-config", "--remove", "--file", str(path), "--json").data["changed"] is True
    assert path.read_text() == "Host x\n"
    assert signed_in("ssh-config").code == Exit.USAGE
    assert signed_in("ssh-config", "--install", "--remove").code == Exit.USAGE


def test_doctor_and_version(signed_in: Run) -> None:
    done = signed_in("doctor", "--json")
    assert (done.code, done.data["healthy"]) == (Exit.OK, True)
    assert "knock keys" in signed_in("doctor", "--offline").out
    assert signed_in("version").out.startswith("sally ")
    assert "python" in signed_in("version", "--json").data


def test_doctor_without_a_device_fails(sally: Run) -> None:
    assert sally("doctor").code == Exit.FAILED


def test_logout_ends_the_agent(agent: RunningAgent, signed_in: Run) -> None:
    assert signed_in("logout", "--json").data == {"was_signed_in": True}
    assert not (agent.home.run_path / "control.sock").exists()
    assert signed_in("logout").out == "Nobody was signed in.\n"
