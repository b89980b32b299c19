"""Both legs: how the target is dialled, and how bytes, words and pauses travel."""

import asyncio
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import EXTENDED_DATA_STDERR

from broker.gateway import contract as c
from broker.gateway.channels import ExitState, Side, Stream
from broker.gateway.legs import TargetRefused
from broker.gateway.permits import Lease
from broker.gateway.testing import lease_json
from broker.protocols.ssh.legs import SshLegs

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


class Channel:
    """Both kinds of asyncssh channel, as far as legs use them; closed = every write raises."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.closed = False

    def _tell(self, *what: Any) -> None:
        if self.closed:
            raise BrokenPipeError
        self.told.append(what if len(what) > 1 else what[0])

    def write(self, data: bytes, datatype: int | None = None) -> None:
        self._tell(data, datatype)

    def write_stderr(self, data: bytes) -> None:
        self._tell("stderr", data)

    def write_eof(self) -> None:
        self._tell("eof")

    def exit(self, status: int) -> None:
        self._tell("exit", status)

    def exit_with_signal(self, *what: Any) -> None:
        self._tell("signal", *what)

    def close(self) -> None:
        self._tell("close")

    def pause_reading(self) -> None:
        self.told.append("pause")

    def resume_reading(self) -> None:
        self.told.append("resume")


class Rig:
    def __init__(self) -> None:
        self.fed: list[c.Event] = []
        self.legs = SshLegs()
        self.legs.attach(None, self.fed.append)  # type: ignore[arg-type]
        self.front, self.back = Channel(), Channel()
        self.legs.add_front(self.front)  # type: ignore[arg-type]
        self.legs._pairs[1].back = self.back  # type: ignore[assignment]


def lease(**changes: Any) -> Lease:
    data = lease_json("10.0.0.1", 2222, HOST_KEY, "root", "password", "s3cret")
    return Lease.from_json({**data, **changes})


async def test_only_the_pinned_key_is_taken_and_nothing_of_this_machine_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, Any] = {}

    async def connect(*address: Any, **given: Any) -> Any:
        seen.update(given, address=address)
        raise OSError("no route")

    monkeypatch.setattr(asyncssh, "connect", connect)
    legs = SshLegs("10.0.0.99")
    with pytest.raises(TargetRefused, match="cannot be reached"):
        await legs.dial(lease())
    assert seen["address"] == ("10.0.0.1", 2222)
    assert seen["known_hosts"] == ([HOST_KEY.convert_to_public()], [], [])
    assert seen["local_addr"] == ("10.0.0.99", 0)
    assert (seen["password"], seen["client_keys"]) == ("s3cret", None)
    for name in ("config", "agent_path", "gss_host", "x509_trusted_certs", "compression_algs"):
        assert seen[name] is None
    assert seen["agent_forwarding"] is False
    assert seen["keepalive_interval"] == 15
    key = asyncssh.generate_private_key("ssh-ed25519")
    secret = key.export_private_key().decode()
    with pytest.raises(TargetRefused):
        await legs.dial(lease(credential={"kind": "private_key", "secret": secret}))
    assert seen["password"] is None
    assert seen["client_keys"] == [key]
    assert seen["preferred_auth"] == ("publickey",)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncssh.HostKeyNotVerifiable("x"), "host_key_mismatch"),
        (asyncssh.PermissionDenied("x"), "credential_refused"),
        (asyncssh.ConnectionLost("x"), "target_offline"),
        (TimeoutError(), "target_offline"),
    ],
)
async def test_a_failed_dial_has_its_own_code(monkeypatch: pytest.MonkeyPatch, error: Exception, code: str) -> None:
    async def connect(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(asyncssh, "connect", connect)
    with pytest.raises(TargetRefused) as caught:
        await SshLegs().dial(lease())
    assert caught.value.code == code


@pytest.mark.parametrize("changes", [{"host_key": "junk"}, {"credential": {"kind": "private_key", "secret": "junk"}}])
async def test_a_lease_that_cannot_be_read_dials_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(TargetRefused) as caught:
        await SshLegs().dial(lease(**changes))
    assert caught.value.code == "bad_lease"
    assert "junk" not in caught.value.message


async def test_output_of_one_turn_is_one_event_and_keeps_its_order() -> None:
    rig = Rig()
    for data, stream in ((b"a", Stream.OUTPUT), (b"b", Stream.OUTPUT), (b"e", Stream.ERROR), (b"c", Stream.OUTPUT)):
        rig.legs.target_bytes(1, data, stream)
    await asyncio.sleep(0)
    assert rig.fed == [
        c.TargetBytes(1, b"ab"),
        c.TargetBytes(1, b"e", Stream.ERROR),
        c.TargetBytes(1, b"c"),
    ]


async def test_no_event_overtakes_output_that_came_before_it() -> None:
    rig = Rig()
    rig.legs.target_bytes(1, b"tail", Stream.OUTPUT)
    rig.legs.feed(c.TargetExited(1, ExitState(status=0)))
    assert rig.fed == [c.TargetBytes(1, b"tail"), c.TargetExited(1, ExitState(status=0))]


async def test_commands_reach_their_channels() -> None:
    rig = Rig()
    rig.legs.send(c.Send(1, Side.CLIENT, b"out"))
    rig.legs.send(c.Send(1, Side.CLIENT, b"err", Stream.ERROR))
    rig.legs.send(c.Send(1, Side.TARGET, b"in"))
    rig.legs.send_end(c.SendEnd(1, Side.TARGET))
    rig.legs.end_channel(c.EndChannel(1, ExitState(status=3)))
    rig.legs.end_channel(c.EndChannel(1, ExitState(signal="KILL", core_dumped=True, message="m")))
    rig.legs.end_channel(c.EndChannel(1, ExitState()))
    assert rig.front.told == [
        (b"out", None),
        (b"err", EXTENDED_DATA_STDERR),
        ("exit", 3),
        ("signal", "KILL", True, "m"),
        "close",
    ]
    assert rig.back.told == [(b"in", None), "eof"]


async def test_a_channel_that_is_gone_harms_nobody() -> None:
    rig = Rig()
    rig.front.closed = rig.back.closed = True
    rig.legs.send(c.Send(1, Side.CLIENT, b"out"))
    rig.legs.send(c.Send(1, Side.TARGET, b"in"))
    rig.legs.send_end(c.SendEnd(1, Side.CLIENT))
    rig.legs.message(c.Message(1, "x"))
    rig.legs.end_channel(c.EndChannel(1, ExitState(status=0)))
    rig.legs.send(c.Send(9, Side.CLIENT, b"out"))


async def test_our_words_keep_their_place_on_a_terminal_and_stay_off_standard_output_without_one() -> None:
    rig = Rig()
    rig.legs.message(c.Message(1, "plain\x1b[2J"))
    rig.legs.set_terminal(1)
    rig.legs.message(c.Message(1, "on a terminal"))
    assert rig.front.told == [("stderr", b"plain [2J\n"), (b"\r\non a terminal\r\n", None)]


async def test_a_side_rests_as_long_as_one_reason_stands() -> None:
    rig = Rig()
    rig.legs.client_full(1, full=True)
    rig.legs.flow(c.Flow(1, Side.TARGET, open=False))
    rig.legs.client_full(1, full=False)
    assert rig.back.told == ["pause"]
    rig.legs.flow(c.Flow(1, Side.TARGET, open=True))
    assert rig.back.told == ["pause", "resume"]
    rig.legs.target_full(1, full=True)
    assert rig.front.told == ["pause"]


async def test_the_loss_of_the_target_is_told_once_it_was_connected() -> None:
    rig = Rig()
    rig.legs.target_gone("")
    assert rig.fed == []

    class Back:
        def get_extra_info(self, name: str) -> None:
            return None

        def abort(self) -> None:
            rig.legs.target_gone("")

    rig.legs._back = Back()  # type: ignore[assignment]
    rig.legs.target_gone("reset")
    assert rig.fed == [c.SideGone(Side.TARGET, "The connection to the target was lost. reset")]
    rig.legs._back = Back()  # type: ignore[assignment]
    rig.legs.drop_target()
    assert len(rig.fed) == 1


async def test_a_closed_channel_of_the_target_is_told_behind_the_end_of_its_connection() -> None:
    rig = Rig()
    rig.legs._back = object()  # type: ignore[assignment]
    rig.legs.back_closed(1)
    rig.legs.target_gone("")
    await asyncio.sleep(0)
    assert [type(event) for event in rig.fed] == [c.SideGone, c.ChannelClosed]
