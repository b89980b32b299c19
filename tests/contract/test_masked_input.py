"""Typed and vaulted secrets through the real proxy: in no file, raw or decrypted, but under the auditors' keys."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.gateway.testing import lease_json
from recorder.frames import FrameKind
from recorder.masking import Unmask, hidden_inputs, open_part
from recorder.replay import open_recording
from recorder.seal import generate_recipient
from recorder.walk import read_front
from tests.contract.ssh_rig import Rig, short_folder, sshd

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("ssh") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root, ssh and sshd",
)

AUDITORS = (generate_recipient(), generate_recipient())


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    with short_folder() as folder:
        one = Rig(folder)
        one.authority.unmask_publics = [public for _, public in AUDITORS]
        await one.start()
        async with sshd(folder) as (port, host_key, login_key):
            secret = login_key.export_private_key().decode()
            one.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
            async with one.running():
                yield one


def recording_of(rig: Rig) -> Path:
    (path,) = rig.recordings.iterdir()
    return path


def hidden(rig: Rig) -> list[bytes]:
    """What both auditors together read."""
    path = recording_of(rig)
    with path.open("rb") as stream:
        opening = read_front(stream).opening
    assert opening.mask_parts is not None
    name = opening.header.recording_id
    parts = [open_part(sealed, AUDITORS[index][0], name, index) for index, sealed in enumerate(opening.mask_parts)]
    recording = open_recording(path, rig.authority.unseal_private)
    return [one.keys for one in hidden_inputs(recording.frames(), Unmask.of(name, parts[0], parts[1]))]


def nowhere(rig: Rig, secret: bytes) -> bool:
    """In no file that gateway or recorder wrote, and in no frame under the site's own key."""
    files = [path for path in (*rig.recordings.rglob("*"), *rig.state.rglob("*")) if path.is_file()]
    assert files
    return not any(secret in path.read_bytes() for path in files) and not any(
        secret in frame.data for frame in rig.frames()
    )


async def test_a_word_typed_without_echo_is_nowhere_but_with_the_two_auditors(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(b"echo visible\r")
        await shell.see(rb"visible\r\n.*# $")
        shell.type(b"read -s -p 'Word: ' w; echo thanks\r")
        await shell.see(rb"Word: $")
        shell.type(b"hunter2hunter2\r")
        await shell.see(rb"thanks\r\n.*# $")
        shell.type(b"stty -echo\r")
        await shell.see(rb"# $")
        shell.type(b"touch /tmp/quiet-$$; stty echo\r")
        await shell.see(rb"# $")
        shell.type(b"exit\r")
        await shell.end()
    await rig.ended()
    assert nowhere(rig, b"hunter2")
    shown = rig.recorded(FrameKind.ECHOED_INPUT)
    assert b"echo visible\r" in shown
    assert b"read -s -p 'Word: ' w; echo thanks\r" in shown
    assert rig.recorded(FrameKind.INPUT) == b""
    pieces = hidden(rig)
    assert b"hunter2hunter2\r" in pieces
    notes = rig.recorded(FrameKind.NOTE)
    assert notes.count(b'"hidden_input"') >= 1
    assert any(b"quiet-" in piece for piece in pieces) or b"quiet-" in notes + shown  # never dropped


async def test_a_vaulted_secret_is_in_no_file_raw_or_decrypted(rig: Rig) -> None:
    lease = rig.authority.lease["credential"]
    assert isinstance(lease, dict)
    secret = str(lease["secret"]).encode()
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(b"id -un\r")
        await shell.see(rb"root\r\n")
        shell.type(b"exit\r")
        await shell.end()
    done = await rig.ssh("plant", "true")
    assert done.status == 0
    await rig.ended(2)
    body = secret.splitlines()[1]
    assert len(body) > 30
    for path in (*rig.recordings.iterdir(), *rig.state.iterdir()):
        assert body not in path.read_bytes()
    for number in (-1, -2):
        assert not any(body in frame.data for frame in rig.frames(number))
