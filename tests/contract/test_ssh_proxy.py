"""Stock ssh through the real gateway to real servers, with control played by an honest fake behind the real link."""

import asyncio
import base64
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from broker.gateway.testing import lease_json, wall_ms
from broker.policy.command_rules import CommandAction, CommandRule, CommandRules
from recorder.frames import FrameKind
from recorder.report import State
from recorder.verify import verify
from tests.contract.ssh_rig import Rig, asyncssh_client, short_folder, sshd

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("ssh") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root, ssh and sshd",
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A gateway in front of Debian's sshd; `<folder>/plant` is protected by the permit's rules."""
    with short_folder() as folder:
        (folder / "plant").mkdir()
        (folder / "plant" / "recipe").write_text("steel")
        one = Rig(folder)
        one.authority.permit["rules"] = CommandRules(
            "test/1",
            (
                CommandRule("test.removal", CommandAction.BLOCK, ("rm",), ("r", "recursive"), (f"{folder}/plant",)),
                CommandRule("test.hold", CommandAction.HOLD, ("reboot-press",)),
            ),
        ).to_json()
        await one.start()
        async with sshd(folder) as (port, host_key, login_key):
            secret = login_key.export_private_key().decode()
            one.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
            async with one.running():
                yield one


async def test_a_command_runs_and_its_output_errors_and_status_are_exact(rig: Rig) -> None:
    done = await rig.ssh("plant", "cat; echo oops >&2; exit 7", data=b"in\0put\xff")
    assert (done.status, done.out, done.err) == (7, b"in\0put\xff", b"oops\n")
    ended = await rig.ended()
    assert ended["exit_status"] == 7
    assert ended["reason"] == "client_left"
    recording = ended["recording"]
    assert isinstance(recording, dict)
    assert recording["state"] == "sealed"
    assert rig.recorded(FrameKind.INPUT) == b"in\0put\xff"
    assert rig.recorded(FrameKind.OUTPUT) == b"in\0put\xff"
    assert rig.recorded(FrameKind.ERROR_OUTPUT) == b"oops\n"
    assert rig.recorded(FrameKind.EXEC) == b"cat; echo oops >&2; exit 7"
    assert rig.recorded(FrameKind.EXIT) == b"7"


async def test_control_gets_the_recordings_key_before_the_target_is_dialled(rig: Rig) -> None:
    await rig.ssh("plant", "true")
    await rig.ended()
    lease = next(m for m in rig.authority.asked if m["type"] == "lease")
    named = lease["recording"]
    assert isinstance(named, dict)
    report = verify(rig.recordings / str(named["path"]), signing_public=base64.b64decode(named["signing_public_b64"]))
    assert report.state is State.SEALED
    assert report.is_signing_key_pinned


async def test_bulk_goes_both_ways_unharmed_and_is_recorded(rig: Rig) -> None:
    data = os.urandom(3_000_000)
    done = await rig.ssh("plant", "cat", data=data)
    assert done.out == data
    await rig.ended()
    assert rig.recorded(FrameKind.INPUT) == data
    assert rig.recorded(FrameKind.OUTPUT) == data


async def test_a_signal_that_ends_the_program_is_passed_on(rig: Rig) -> None:
    done = await rig.ssh("plant", "kill -TERM $$")
    assert done.status == 255  # what stock ssh makes of a signal
    await rig.ended()
    assert rig.recorded(FrameKind.EXIT) == b"TERM"


async def test_only_language_and_terminal_variables_reach_the_target(rig: Rig) -> None:
    done = await rig.ssh("-o", "SendEnv=LC_TEST SECRET", "-o", "SetEnv=LD_PRELOAD=/x", "plant", "env")
    assert b"LC_TEST=seen" in done.out
    assert b"SECRET" not in done.out
    assert b"LD_PRELOAD" not in done.out


async def test_an_interactive_shell_works_with_resize_and_is_recorded(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"recorded; ends in \d+ min.*# ")
        shell.type(b"stty size\r")
        await shell.see(rb"30 100\r\n")
        shell.resize(20, 70)
        await asyncio.sleep(0.3)
        shell.type(b"stty size\r")
        await shell.see(rb"20 70\r\n")
        shell.type(b"exit 3\r")
        assert await shell.end() == 3
    await rig.ended()
    assert b"stty size\rstty size\rexit 3\r" in rig.recorded(FrameKind.INPUT)
    assert b"20 70" in rig.recorded(FrameKind.OUTPUT)
    assert re.fullmatch(rb"100x30(70x20)+", rig.recorded(FrameKind.RESIZE))


async def test_removal_of_protected_data_is_blocked_in_a_shell_however_it_is_typed(rig: Rig) -> None:
    plant = f"{rig.folder}/plant".encode()
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        lines = [
            b"rm -rf " + plant + b"\r",
            b"rm -rf " + plant + b"\n",
            b"rm -rf " + plant + b"\x0f",
            b"rm  -r -f '" + plant + b"/recipe'\r",
            b"true; sudo rm -rf " + plant + b"\r",
            b" -rf " + plant + b"\x01rm\r",
            b"m -rf " + plant + b"\x1b[Hr\r",
            b"rm -rf \\\r" + plant + b"\r",
            b"\x1b[200~rm -rf " + plant + b"\x1b[201~\r",
            b"xx\x15rm -rf " + plant + b"\r",
            b"cd " + plant + b"\rrm -rf *\r",
        ]
        for line in lines:
            shell.type(line)
            await shell.see(rb"This command is blocked \(test\.removal\).*\^C.*# $")
            assert (rig.folder / "plant" / "recipe").exists(), line
            await asyncio.sleep(0.1)
        shell.type(b"echo 'rm -rf " + plant + b"' still here\r")
        await shell.see(rb"\rrm -rf \S+ still here\r\n")
        shell.type(b"exit\r")
        await shell.end()
    await rig.ended()
    assert rig.authority.codes().count("session.command.blocked") == len(lines)
    notes = [json.loads(f.data) for f in rig.frames() if f.kind is FrameKind.NOTE]
    assert sum(note["kind"] == "blocked" for note in notes) == len(lines)


async def test_a_command_from_the_history_is_judged_by_what_the_screen_shows(rig: Rig) -> None:
    plant = rig.folder / "plant"
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        # Put into the history without running it.
        shell.type(b"history -s 'rm -rf '" + str(plant).encode() + b"\r")
        await shell.see(rb"# $")
        shell.type(b"\x1b[A\r")  # Up and Enter in one packet: Enter must not outrun the echo
        await shell.see(rb"This command is blocked")
        await shell.see(rb"# $")
        shell.type(b"\x12rm -rf\r")
        await shell.see(rb"This command is blocked")
        assert (plant / "recipe").exists()


async def test_completion_and_a_password_prompt_do_not_get_stuck(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(f"ls {rig.folder}/pla\t\r".encode())
        await shell.see(rb"recipe\r\n.*# $")
        shell.type(b"read -s -p 'Word: ' w; echo got-$w\r")
        await shell.see(rb"Word: ")
        shell.type(b"hunter2\r")
        await shell.see(rb"got-hunter2\r\n")
        await rig.authority.until(lambda: "session.command.entered" in rig.authority.codes())
    assert "hunter2" not in json.dumps([e for e in rig.authority.events if "got" not in str(e)])


async def test_a_blocked_command_of_exec_is_never_sent(rig: Rig) -> None:
    done = await rig.ssh("plant", f"date; rm -rf {rig.folder}/plant")
    assert done.status == 126
    assert re.search(rb"Sallyport: This command is blocked \(test\.removal\)", done.err)
    assert done.out == b""
    assert (rig.folder / "plant" / "recipe").exists()
    await rig.authority.until(lambda: "session.command.blocked" in rig.authority.codes())
    event = next(e for e in rig.authority.events if e["code"] == "session.command.blocked")
    assert "rm -rf" in str(event["params"])


@pytest.mark.parametrize("command", [[], ["bash"], ["-T"]])
async def test_a_shell_without_a_terminal_is_judged_line_by_line(rig: Rig, command: list[str]) -> None:
    options = [word for word in command if word == "-T"]
    words = [word for word in command if word != "-T"]
    script = f"echo one\necho two\nrm -rf \\\n{rig.folder}/plant\necho three\n".encode()
    done = await rig.ssh(*options, "plant", *words, data=script)
    assert done.status == 126
    assert b"This command is blocked" in done.err
    assert b"three" not in done.out
    assert (rig.folder / "plant" / "recipe").exists()


async def test_a_hold_waits_for_control_and_is_refused_or_run(rig: Rig) -> None:
    rig.authority.answer_hold = "refuse"
    done = await rig.ssh("plant", "reboot-press")
    assert done.status == 126
    rig.authority.answer_hold = "allow"
    done = await rig.ssh("plant", "reboot-press")
    assert done.status == 127  # sent, and unknown to the target's shell
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(b"reboot-press now\r")
        await shell.see(rb"waits for an approval.*command not found")
        rig.authority.answer_hold = "refuse"
        shell.type(b"reboot-press now\r")
        await shell.see(rb"blocked \(test\.hold\).*not approved.*\^C")


@pytest.mark.parametrize("command", ["scp -t /tmp", "scp -r -f /etc", "rsync --server .", "/usr/lib/sftp-server"])
async def test_a_copy_that_is_not_read_here_is_refused_with_words(rig: Rig, command: str) -> None:
    done = await rig.ssh("plant", command)
    assert done.status == 126
    assert b"Use scp (without -O) or sftp" in done.err


async def test_another_subsystem_is_refused_with_words(rig: Rig) -> None:
    done = await rig.ssh("-s", "plant", "netconf")
    assert done.status == 126
    assert b"This subsystem is not available here" in done.err


async def test_forwardings_are_refused(rig: Rig) -> None:
    done = await rig.ssh("-W", "127.0.0.1:22", "plant")
    assert done.status != 0
    assert b"administratively prohibited" in done.err or b"refused" in done.err.lower()
    done = await rig.ssh("-R", "0:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes", "plant", "true")
    assert done.status == 255
    done = await rig.ssh("-A", "-o", "LogLevel=VERBOSE", "plant", "echo ${SSH_AUTH_SOCK:-none}")
    assert done.out == b"none\n"
    done = await rig.ssh("-X", "plant", "echo ${DISPLAY:-none}")
    assert done.out == b"none\n"


async def test_several_channels_share_one_connection_and_their_number_is_bounded(rig: Rig) -> None:
    async with await asyncssh_client(rig) as connection:
        results = await asyncio.gather(*(connection.run(f"echo {n}; exit {n}") for n in range(8)))
        assert [(r.stdout, r.exit_status) for r in results] == [(f"{n}\n", n) for n in range(8)]
        held = [await connection.create_process("cat") for _ in range(10)]
        with pytest.raises(asyncssh.ChannelOpenError, match="too many channels"):
            await connection.create_process("cat")
        for process in held:
            process.stdin.write_eof()
            await process.wait()
        assert (await connection.run("echo again")).stdout == "again\n"
    await rig.ended()
    assert rig.recorded(FrameKind.OUTPUT).count(b"again\n") == 1


async def test_a_status_that_comes_long_after_both_directions_ended_is_told(rig: Rig) -> None:
    done = await rig.ssh("plant", "exec >&- 2>&-; sleep 0.3; exit 5")
    assert done.status == 5
    assert (await rig.ended())["exit_status"] == 5


async def test_a_half_closed_channel_still_delivers_the_answer(rig: Rig) -> None:
    done = await rig.ssh("plant", "cat >/dev/null; sleep 0.2; echo late")
    assert done.out == b"late\n"


@pytest.mark.parametrize("principals", [[], ["somebody"]])
async def test_a_certificate_for_nobody_or_somebody_else_is_refused(rig: Rig, principals: list[str]) -> None:
    rig.write_certificate(principals)
    done = await rig.ssh("plant", "true")
    assert done.status == 255
    assert b"Permission denied" in done.err
    assert not any(m["type"] == "admit" for m in rig.authority.asked)


async def test_a_bare_key_is_refused(rig: Rig) -> None:
    (rig.folder / "session_key-cert.pub").unlink()
    done = await rig.ssh("plant", "true")
    assert b"Permission denied" in done.err
    assert not any(m["type"] == "admit" for m in rig.authority.asked)


async def test_no_authentication_method_but_publickey_is_offered(rig: Rig) -> None:
    done = await rig.ssh("-o", "PubkeyAuthentication=no", "-o", "LogLevel=VERBOSE", "plant", "true")
    assert b"Permission denied (publickey)" in done.err


async def test_the_key_of_another_knock_is_refused(rig: Rig) -> None:
    rig.session_key = asyncssh.generate_private_key("ssh-ed25519")
    done = await rig.ssh("plant", "true")
    assert b"Permission denied" in done.err


async def test_a_denial_shows_its_words_and_control_is_asked_once(rig: Rig) -> None:
    rig.authority.deny = ("outside_window", "Your access begins at 14:00.")
    done = await rig.ssh("plant", "true")
    assert done.status == 255
    assert b"Sallyport: Your access begins at 14:00." in done.err
    assert sum(m["type"] == "admit" for m in rig.authority.asked) == 1
    assert not list(rig.recordings.iterdir())


async def test_another_account_name_than_the_permits_is_refused(rig: Rig) -> None:
    rig.write_certificate(["sallyport", "root", "admin"])
    assert (await rig.ssh("plant", "true", user="root")).status == 0
    done = await rig.ssh("plant", "true", user="admin")
    assert b"Sign in as sallyport or as root" in done.err
    ended = await rig.ended(2)
    assert ended["reason"] == "permit_mismatch"


async def test_a_target_with_another_host_key_gets_nothing(rig: Rig) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    rig.authority.lease["host_key"] = other.export_public_key().decode()
    done = await rig.ssh("plant", "true")
    assert done.status == 255
    assert b"another host key than the pinned one" in done.err
    assert (await rig.ended())["reason"] == "host_key_mismatch"


async def test_a_target_that_is_offline_is_told(rig: Rig) -> None:
    rig.authority.lease["port"] = 1
    done = await rig.ssh("plant", "true")
    assert done.status == 255
    assert b"The target cannot be reached" in done.err


async def test_a_password_credential_opens_the_target(rig: Rig) -> None:
    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("plc", "s3cret")

    def session(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write(f"ran {process.command}\n")
        process.exit(0)

    host_key = asyncssh.generate_private_key("ssh-ed25519")
    target = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[host_key], process_factory=session, gss_host=None
    )
    async with target:
        rig.authority.lease = lease_json("127.0.0.1", target.get_port(), host_key, "plc", "password", "s3cret")
        done = await rig.ssh("plant", "show")
        assert (done.status, done.out) == (0, b"ran show\n")
        rig.authority.lease = lease_json("127.0.0.1", target.get_port(), host_key, "plc", "password", "wrong")
        done = await rig.ssh("plant", "show")
        assert b"did not take its stored credential" in done.err
    stored = b"".join(path.read_bytes() for path in rig.state.iterdir())
    assert b"s3cret" not in stored


async def test_a_lost_target_ends_the_session_with_words(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(b"kill -9 $PPID\r")
        await shell.see(rb"connection to the target was lost")
        assert await shell.end() == 255
    assert (await rig.ended())["reason"] == "target_left"


async def test_the_deadline_ends_a_session_with_a_message(rig: Rig) -> None:
    rig.authority.permit["not_after_ms"] = wall_ms() + 3_000
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        await shell.see(rb"Your access time is over")
        assert await shell.end() == 255
    assert (await rig.ended())["reason"] == "expired"


async def test_an_idle_session_ends(rig: Rig) -> None:
    rig.authority.permit["idle_seconds"] = 1
    async with rig.terminal("plant") as shell:
        await shell.see(rb"Nothing was typed for too long")
    assert (await rig.ended())["reason"] == "idle"


@pytest.mark.parametrize(("order", "reason"), [("cut", "cut"), ("end", "grant_revoked")])
async def test_an_order_ends_a_session_at_once(rig: Rig, order: str, reason: str) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        rig.authority.order(order, "ses_1", "grant_revoked")
        await shell.see(rb"grant_revoked", 2)
        assert await shell.end(2) == 255
    assert (await rig.ended())["reason"] == reason


async def test_an_order_that_overtakes_its_session_still_holds(rig: Rig) -> None:
    rig.authority.before_admit = lambda: rig.authority.order("end", "ses_1", "revoked")
    done = await rig.ssh("plant", "sleep 5")
    assert done.status == 255
    assert (await rig.ended())["reason"] == "revoked"


async def test_a_session_outlives_control_and_its_end_is_delivered_later(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        await rig.authority.stop()
        shell.type(b"echo still-$((40+2))\r")
        await shell.see(rb"still-42\r\n")
        refused = await rig.ssh("plant", "true")
        assert b"control does not answer" in refused.err
        shell.type(b"exit\r")
        await shell.end()
    assert not rig.authority.ended
    await rig.authority.start()
    assert (await rig.ended())["session_id"] == "ses_1"
    hello = [m for m in rig.authority.asked if m["type"] == "hello"]
    assert hello[-1]["sessions"] == []
    seqs = [seq for _, seq in rig.authority.seen]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_session_freezes_and_then_ends_when_control_stays_away(rig: Rig) -> None:
    rig.authority.permit["autonomy_seconds"] = 3
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        await rig.authority.stop()
        await shell.see(rb"control is away", 5)
        shell.type(b"echo frozen-$((1+1))\r")
        await asyncio.sleep(0.5)
        assert b"frozen-2" not in shell.output
        await rig.authority.start()
        await shell.see(rb"The session goes on.*frozen-2\r\n", 8)
        await rig.authority.stop()
        await shell.see(rb"away for too long", 8)
        assert await shell.end() == 255
    await rig.authority.start()
    assert (await rig.ended())["reason"] == "autonomy"


async def test_a_recording_that_cannot_be_written_ends_the_session(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        gateway = rig.gateway
        assert gateway is not None
        driver = gateway.sessions._live["ses_1"]
        assert driver._recording is not None
        os.close(driver._recording._writer._descriptor)
        shell.type(b"echo unseen\r")
        await shell.see(rb"recording cannot be written")
        assert await shell.end() == 255
        assert b"unseen" not in shell.output
    ended = await rig.ended()
    assert ended["reason"] == "recorder_failed"
    assert isinstance(ended["recording"], dict)
    assert ended["recording"]["state"] == "broken"


async def test_stopping_the_gateway_seals_and_a_crash_is_marked_at_the_next_start(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        (path,) = rig.recordings.iterdir()
        shutil.copy(path, rig.folder / "left.sallyrec")
    await rig.ended()
    path.unlink()
    shutil.move(rig.folder / "left.sallyrec", path)
    second = Rig(rig.folder)
    second.evidence = rig.evidence
    second.authority = rig.authority
    async with second.running():
        await rig.authority.until(lambda: any(e["reason"] == "gateway_crashed" for e in rig.authority.ended))
    assert verify(path, signing_public=None).state is State.BROKEN


async def test_strangers_get_a_reset_and_no_byte(rig: Rig) -> None:
    await _expect_reset(rig, bytes(48))
    proof = await rig.knock(address="10.1.2.3")
    await _expect_reset(rig, proof)
    proof = await rig.knock()
    await _expect_reset(rig, proof[:-1] + bytes([proof[-1] ^ 1]))
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(proof)
    assert (await reader.readline()).startswith(b"SSH-2.0-Sallyport")
    await _expect_reset(rig, proof)  # one knock, one connection
    writer.transport.abort()
    await rig.authority.until(lambda: rig.authority.codes().count("gateway.piggyback") == 4)
    reasons = [e["params"]["reason"] for e in rig.authority.events]  # type: ignore[index]
    assert reasons == ["unknown_knock", "wrong_address", "wrong_proof", "unknown_knock"]


async def _expect_reset(rig: Rig, first: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(first)
    with pytest.raises(ConnectionResetError):
        assert await reader.read(100) == b""
    writer.transport.abort()
