"""Stock `scp` and `sftp` through the real gateway to a real server: what arrives, what is refused, what is told."""

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from broker.gateway.testing import lease_json
from broker.policy.command_rules import CommandAction, CommandRule, CommandRules
from recorder.cast import to_asciicast_v2
from recorder.frames import FrameKind
from recorder.replay import open_recording
from tests.contract.ssh_rig import Rig, asyncssh_client, short_folder, sshd

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("scp") or not shutil.which("sftp") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root, scp, sftp and sshd",
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A gateway in front of Debian's sshd. `<folder>/plant` is protected, `<folder>/box` is not."""
    with short_folder() as folder:
        for name in ("plant", "box", "here"):
            (folder / name).mkdir()
        (folder / "plant" / "recipe").write_text("steel")
        one = Rig(folder)
        rule = CommandRule("test.removal", CommandAction.BLOCK, ("rm",), ("r", "recursive"), (f"{folder}/plant",))
        one.authority.permit["rules"] = CommandRules("test/1", (rule,)).to_json()
        await one.start()
        async with sshd(folder) as (port, host_key, login_key):
            secret = login_key.export_private_key().decode()
            one.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
            async with one.running():
                yield one


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def moved(rig: Rig) -> list[dict[str, Any]]:
    return [dict(e["params"]) for e in rig.authority.events if e["code"] == "session.file.transferred"]  # type: ignore[call-overload]


def blocked(rig: Rig) -> list[dict[str, Any]]:
    return [dict(e["params"]) for e in rig.authority.events if e["code"] == "session.command.blocked"]  # type: ignore[call-overload]


async def sftp(rig: Rig, *lines: str) -> Any:
    return await rig.run("sftp", "-b", "-", "plant", data="\n".join(lines).encode() + b"\n")


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024])
async def test_scp_brings_a_file_and_takes_it_back(rig: Rig, size: int) -> None:
    data = os.urandom(size)
    (rig.folder / "here" / "up").write_bytes(data)
    done = await rig.run("scp", "-p", f"{rig.folder}/here/up", f"plant:{rig.folder}/box/up")
    assert (done.status, done.out, done.err) == (0, b"", b"")
    assert (rig.folder / "box" / "up").read_bytes() == data
    done = await rig.run("scp", f"plant:{rig.folder}/box/up", f"{rig.folder}/here/down")
    assert (done.status, done.err) == (0, b"")
    assert (rig.folder / "here" / "down").read_bytes() == data
    await rig.ended(2)
    path = f"{rig.folder}/box/up"
    same = {"path": path, "bytes": size, "sha256": sha256(data), "complete": True, "sequential": True, "channel": 1}
    assert moved(rig) == [{"direction": "up", **same}, {"direction": "down", **same}]
    notes = [json.loads(f.data) for f in rig.frames() if f.kind is FrameKind.NOTE]
    (note,) = [note for note in notes if note["kind"] == "file"]
    assert (note["direction"], note["sha256"], note["bytes"], note["complete"]) == ("down", sha256(data), size, True)


async def test_folders_of_many_small_files_and_names_in_other_tongues_go_both_ways(rig: Rig) -> None:
    names = ["with space", "中文 文件.txt", "a'b\"c", *(f"n{number}" for number in range(50))]
    (rig.folder / "here" / "set").mkdir()
    for name in names:
        (rig.folder / "here" / "set" / name).write_text(f"content of {name}")
    done = await sftp(
        rig, f"put -r {rig.folder}/here/set {rig.folder}/box/", f"get -r {rig.folder}/box/set {rig.folder}/back"
    )
    assert done.status == 0, done.err
    for name in names:
        assert (rig.folder / "box" / "set" / name).read_text() == f"content of {name}"
        assert (rig.folder / "back" / name).read_text() == f"content of {name}"
    await rig.ended()
    told = {(one["direction"], one["path"]): one for one in moved(rig)}
    assert len(told) == 2 * len(names)
    for name in names:
        up = told["up", f"{rig.folder}/box/set/{name}"]
        assert (up["complete"], up["sha256"]) == (True, sha256(f"content of {name}".encode()))
    assert rig.frames()


async def test_every_byte_is_recorded_and_the_terminal_export_shows_none_of_it(rig: Rig) -> None:
    data = os.urandom(300_000)
    (rig.folder / "here" / "up").write_bytes(data)
    await rig.run("scp", f"{rig.folder}/here/up", f"plant:{rig.folder}/box/up")
    await rig.ended()
    assert rig.recorded(FrameKind.SUBSYSTEM) == b"sftp"
    sent = rig.recorded(FrameKind.INPUT)
    assert all(data[at : at + 16_000] in sent for at in range(0, 256_000, 32_768))
    (path,) = rig.recordings.iterdir()
    recording = open_recording(path, rig.authority.unseal_private)
    cast = list(to_asciicast_v2(recording.header, recording.frames()))
    assert len(cast) == 2
    assert f"file: up {rig.folder}/box/up (300000 bytes, complete)" in cast[1]


async def test_what_is_protected_is_not_removed_replaced_or_changed_under_any_name(rig: Rig) -> None:
    plant, box = rig.folder / "plant", rig.folder / "box"
    (rig.folder / "here" / "new").write_text("rust")
    (box / "mine").write_text("mine")
    (box / "link").symlink_to(plant)
    (box / "file-link").symlink_to(plant / "recipe")
    refused = [
        f"rm {plant}/recipe",
        f"rm {box}/../plant/recipe",
        f"rm {box}/link/recipe",
        f"rename {plant}/recipe {box}/stolen",
        f"rename {box}/mine {plant}/recipe",
        f"rename {plant} {box}/stolen",
        f"rmdir {plant}",
        f"chmod 777 {plant}/recipe",
        f"chmod 777 {box}/file-link",
        f"put {rig.folder}/here/new {plant}/recipe",
        f"put {rig.folder}/here/new {box}/file-link",
        f"put {rig.folder}/here/new {box}/link/recipe",
        f"ln {plant}/recipe {box}/second-name",
    ]
    for line in refused:
        done = await sftp(rig, line)
        assert done.status == 1, line
        assert b"Sallyport: Refused (test.removal): sftp:" in done.err, line
        assert b"ermission denied" in done.err, line
        assert (plant / "recipe").read_text() == "steel", line
    assert (plant / "recipe").stat().st_mode & 0o777 == 0o644
    assert not (box / "stolen").exists()
    await rig.ended(len(refused))
    assert {one["rule_id"] for one in blocked(rig)} == {"test.removal"}
    assert len(blocked(rig)) == len(refused)
    notes = [json.loads(f.data) for f in rig.frames() if f.kind is FrameKind.NOTE]
    assert [note["rule_id"] for note in notes if note["kind"] == "blocked"] == ["test.removal"]
    assert b"hardlink@openssh.com" not in rig.recorded(FrameKind.INPUT)


async def test_one_refusal_does_not_end_the_transfer_and_what_is_new_belongs_to_who_made_it(rig: Rig) -> None:
    plant, box = rig.folder / "plant", rig.folder / "box"
    (rig.folder / "here" / "new").write_text("rust")
    done = await sftp(
        rig,
        f"-rm {plant}/recipe",
        f"put -p {rig.folder}/here/new {plant}/new",
        f"put {rig.folder}/here/new {plant}/new",
        f"rename {plant}/new {plant}/newer",
        f"chmod 600 {plant}/newer",
        f"mkdir {plant}/folder",
        f"rmdir {plant}/folder",
        f"get {plant}/recipe {box}/copy",
        f"rm {plant}/newer",
        f"put {rig.folder}/here/new {box}/last",
    )
    assert done.status == 0, done.err
    assert (plant / "recipe").read_text() == "steel"
    assert (box / "copy").read_text() == "steel"
    assert (box / "last").read_text() == "rust"
    assert sorted(path.name for path in plant.iterdir()) == ["recipe"]
    await rig.ended()
    assert len(blocked(rig)) == 1


async def test_scp_does_not_overwrite_what_is_protected(rig: Rig) -> None:
    (rig.folder / "here" / "recipe").write_text("rust")
    done = await rig.run("scp", f"{rig.folder}/here/recipe", f"plant:{rig.folder}/plant/")
    assert done.status == 1
    assert b"Refused (test.removal)" in done.err
    assert (rig.folder / "plant" / "recipe").read_text() == "steel"


async def test_old_scp_and_a_failure_of_the_target_keep_their_statuses(rig: Rig) -> None:
    (rig.folder / "here" / "new").write_text("rust")
    done = await rig.run("scp", "-O", f"{rig.folder}/here/new", f"plant:{rig.folder}/box/new")
    assert done.status == 1
    assert b"Use scp (without -O) or sftp" in done.err
    assert not (rig.folder / "box" / "new").exists()
    done = await rig.run("scp", f"plant:{rig.folder}/box/absent", f"{rig.folder}/here/")
    assert (done.status, b"No such file" in done.err) == (1, True)
    done = await rig.run("scp", f"{rig.folder}/here/new", f"plant:{rig.folder}/absent/folder/new")
    assert (done.status, b"No such file" in done.err) == (1, True)
    assert blocked(rig) == []


@pytest.mark.parametrize(("only", "up", "down"), [("file_upload", 0, 1), ("file_download", 1, 0), ("exec", 255, 255)])
async def test_a_permit_may_name_one_direction_only(rig: Rig, only: str, up: int, down: int) -> None:
    rig.authority.permit["channels"] = [only]
    (rig.folder / "here" / "new").write_text("rust")
    (rig.folder / "box" / "old").write_text("steel")
    done = await rig.run("scp", f"{rig.folder}/here/new", f"plant:{rig.folder}/box/new")
    assert (min(done.status, 1), (rig.folder / "box" / "new").exists()) == (min(up, 1), up == 0), done.err
    done = await rig.run("scp", f"plant:{rig.folder}/box/old", f"{rig.folder}/here/old")
    assert (min(done.status, 1), (rig.folder / "here" / "old").exists()) == (min(down, 1), down == 0), done.err
    assert b"not part of your access" in done.err or down == 0


async def test_a_transfer_that_is_broken_off_is_told_as_such(rig: Rig) -> None:
    (rig.folder / "here" / "big").write_bytes(os.urandom(3_000_000))
    line = await rig.command_line("-l", "2000", f"{rig.folder}/here/big", f"plant:{rig.folder}/box/big", program="scp")
    process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.DEVNULL)
    while not (rig.folder / "box" / "big").exists() or not (rig.folder / "box" / "big").stat().st_size:
        await asyncio.sleep(0.02)
    process.terminate()
    await process.wait()
    ended = await rig.ended()
    assert isinstance(ended["recording"], dict)
    assert ended["recording"]["state"] == "sealed"
    (told,) = moved(rig)
    assert (told["direction"], told["complete"], told["sha256"]) == ("up", False, "")
    assert 0 < told["bytes"] < 3_000_000
    assert rig.frames()


async def test_a_cut_session_tells_its_unfinished_file_before_its_end(rig: Rig) -> None:
    (rig.folder / "box" / "big").write_bytes(os.urandom(3_000_000))
    line = await rig.command_line("-l", "2000", f"plant:{rig.folder}/box/big", f"{rig.folder}/here/big", program="scp")
    process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.DEVNULL)
    while not (rig.folder / "here" / "big").exists() or not (rig.folder / "here" / "big").stat().st_size:
        await asyncio.sleep(0.02)
    rig.authority.order("cut", "ses_1", "unsafe")
    assert await asyncio.wait_for(process.wait(), 5) != 0
    await rig.ended()
    (told,) = moved(rig)
    assert (told["direction"], told["complete"]) == ("down", False)


async def test_another_client_with_large_blocks_and_many_requests_under_way_is_hashed_too(rig: Rig) -> None:
    data = os.urandom(3_000_001)
    (rig.folder / "here" / "big").write_bytes(data)
    done = await rig.run(
        "sftp",
        "-B",
        "255000",
        "-R",
        "128",
        "-b",
        "-",
        "plant",
        data=f"put {rig.folder}/here/big {rig.folder}/box/one\n".encode(),
    )
    assert done.status == 0, done.err
    async with await asyncssh_client(rig) as connection, connection.start_sftp_client() as client:
        await client.put(f"{rig.folder}/here/big", f"{rig.folder}/box/two")
        await client.get(f"{rig.folder}/box/two", f"{rig.folder}/here/back")
        with pytest.raises(asyncssh.SFTPPermissionDenied, match=r"refused \(test\.removal\)"):
            await client.remove(f"{rig.folder}/plant/recipe")
    assert (rig.folder / "here" / "back").read_bytes() == data
    await rig.ended(2)
    assert [(one["sha256"], one["complete"]) for one in moved(rig)] == [(sha256(data), True)] * 3


async def test_stock_ssh_shares_one_connection_and_one_channel_does_not_end_the_others(rig: Rig) -> None:
    sharing = ("-o", "ControlMaster=auto", "-o", f"ControlPath={rig.folder}/mux", "-o", "ControlPersist=20")
    (rig.folder / "here" / "new").write_text("rust")
    try:
        assert (await rig.ssh(*sharing, "plant", "true")).status == 0
        long = [asyncio.create_task(rig.ssh(*sharing, "plant", f"sleep 1; echo {n}; exit {n}")) for n in range(4)]
        killed = await asyncio.create_subprocess_exec(*await rig.command_line(*sharing, "plant", "sleep 30"))
        await asyncio.sleep(0.5)
        killed.kill()
        await killed.wait()
        copied = await rig.run("scp", *sharing, f"{rig.folder}/here/new", f"plant:{rig.folder}/box/new")
        assert copied.status == 0
        done = await asyncio.gather(*long)
        assert [(one.status, one.out) for one in done] == [(n, f"{n}\n".encode()) for n in range(4)]
        assert (await rig.ssh(*sharing, "plant", "echo again")).out == b"again\n"
        assert sum(message["type"] == "admit" for message in rig.authority.asked) == 1
    finally:
        await rig.ssh(*sharing, "-O", "exit", "plant")
    await rig.ended()
    assert (rig.folder / "box" / "new").read_text() == "rust"
    channels = {frame.channel for frame in rig.frames() if frame.kind is FrameKind.SUBSYSTEM}
    assert len(channels) == 1
