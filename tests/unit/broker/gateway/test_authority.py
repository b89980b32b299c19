"""The link to control: admission read strictly, orders passed on, and a spool that arrives once and in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.gateway import authority
from broker.gateway.authority import AdmitRequest, Authority, Order, OrderKind, RecordingFacts, SshProof
from broker.gateway.local_link import PeerRefused, PeerSilent
from broker.gateway.permits import BadAnswer
from broker.gateway.probing import ProbeOrder
from broker.gateway.spool import Spool
from broker.gateway.testing import FakeAuthority, Message, a_boot_key
from spa_knock.link.framing import encode
from tests.unit.broker.gateway.folders import short_folder

REQUEST = AdmitRequest(
    "ssh", "00" * 12, "dev_1", "grt_1", "127.0.0.1", 4000, "sallyport", bytes(176), SshProof(b"c", b"d", b"s", b"i")
)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.control = FakeAuthority(folder / "a")
        self.orders: list[Order] = []
        self.changes: list[bool] = []
        self.known = True
        self.probes: list[ProbeOrder] = []
        self.removals: list[bytes] = []
        self.releases: list[bytes] = []
        self.spool = Spool(folder / "spool", a_boot_key("w", "boot"))
        self.authority = Authority(
            folder / "a",
            self.spool,
            worker="w",
            boot_id="boot",
            sessions=lambda: ["ses_9"],
            on_order=self._order,
            on_change=self.changes.append,
            on_probe=self.probes.append,
            on_removal=self.removals.append,
            on_release=self.releases.append,
        )

    def _order(self, order: Order) -> bool:
        self.orders.append(order)
        return self.known


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    with short_folder() as folder:
        one = Rig(folder)
        await one.control.start()
        task = asyncio.create_task(one.authority.run())
        try:
            await until(lambda: one.authority.is_up)
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await one.control.stop()
            one.spool.close()


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not ready():
            await asyncio.sleep(0.01)


def answering(one: Rig, answer: Message) -> None:
    one.control._answer = lambda message: answer  # type: ignore[method-assign]


async def test_the_first_message_says_who_speaks_and_what_lives() -> None:
    async with rig() as one:
        hello = one.control.asked[0]
        assert (hello["type"], hello["worker"], hello["boot_id"], hello["version"]) == ("hello", "w", "boot", 2)
        assert hello["sessions"] == ["ses_9"]
        assert one.authority.is_up
        assert one.changes == [True]


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "answer"},
        {"type": "answer", "verdict": "perhaps"},
        {"type": "answer", "verdict": "allow"},
        {"type": "answer", "verdict": "allow", "permit": {}, "recording": {}},
    ],
)
async def test_an_answer_that_is_not_whole_admits_nobody(answer: Message) -> None:
    async with rig() as one:
        answering(one, answer)
        with pytest.raises(ValueError, match=r".*"):
            await one.authority.admit(REQUEST)


async def test_a_denial_and_a_wish_for_approval_are_values() -> None:
    async with rig() as one:
        answering(one, {"type": "answer", "verdict": "deny", "code": "late", "message": "Too late."})
        assert (await one.authority.admit(REQUEST)).code == "late"  # type: ignore[union-attr]
        answering(one, {"type": "answer", "verdict": "needs_approval"})
        assert (await one.authority.admit(REQUEST)).code == "needs_approval"  # type: ignore[union-attr]
        answering(one, {"type": "failed", "code": "broken"})
        with pytest.raises(PeerRefused):
            await one.authority.admit(REQUEST)


async def test_a_bad_lease_is_refused() -> None:
    async with rig() as one:
        answering(one, {"type": "answer", "lease_id": "lse_1"})
        with pytest.raises(BadAnswer):
            await one.authority.lease("ses_1", "prm_1", signing_public=b"", header_sha256=b"", path="x")


async def test_a_silent_control_refuses_holds_and_counts_as_gone() -> None:
    async with rig() as one:
        await one.control.stop()
        await asyncio.sleep(0.05)
        assert not one.authority.is_up
        assert not await one.authority.hold("ses_1", "rule", "reboot")
        assert await one.authority.renew("ses_1") is None
        with pytest.raises(PeerSilent):
            await one.authority.admit(REQUEST)


async def test_a_control_that_hangs_is_noticed_though_nothing_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "_PING_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(authority, "PING_SECONDS", 0.1)
    async with rig() as one:
        await asyncio.sleep(0.3)
        assert one.changes == [True]
        one.control.silent = True
        await until(lambda: one.changes == [True, False])
        await asyncio.sleep(0.3)  # its socket still takes connections
        assert one.changes == [True, False]


async def test_a_command_too_long_to_be_read_is_not_asked_about() -> None:
    async with rig() as one:
        one.control.answer_hold = "allow"
        assert await one.authority.hold("ses_1", "rule", "reboot")
        assert not await one.authority.hold("ses_1", "rule", "reboot " + "x" * 5_000)


async def test_what_happened_while_control_was_away_arrives_once_and_in_order() -> None:
    async with rig() as one:
        await one.control.stop()
        for n in range(5):
            one.authority.report(None, f"gateway.test{n}", {"n": n})
        facts = RecordingFacts("sealed", 3, 2, 100, b"h", b"s", 5)
        one.authority.ended("ses_1", "client_left", facts, 0)
        await asyncio.sleep(0.05)
        await one.control.start()
        await one.control.until(lambda: len(one.control.ended) == 1)
        assert one.control.codes() == [f"gateway.test{n}" for n in range(5)]
        assert one.control.seen == [("boot", seq) for seq in range(1, 8)]
        assert one.control.ended[0]["recording"]["head_sha256_hex"] == b"h".hex()  # type: ignore[index]
        async with asyncio.timeout(5):
            while len(one.spool):
                await asyncio.sleep(0.01)


async def test_a_ping_says_which_entry_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "_PING_EVERY_SECONDS", 0.02)
    pings: list[Message] = []
    async with rig() as one:
        one.control._answer = lambda m: (pings.append(m), {"type": "answer"})[1]  # type: ignore[method-assign]
        one.authority.report(None, "gateway.test", {})
        await until(lambda: any(ping.get("boot_id") == "boot" and ping.get("seq") == 2 for ping in pings))


async def test_what_is_kept_is_forced_to_disk_while_control_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    async with rig() as one:
        await one.control.stop()
        await until(lambda: not one.authority.is_up)
        monkeypatch.setattr(one.spool, "sync", lambda: synced.append(one.spool.newest_seq))
        one.authority.report(None, "gateway.test", {})
        await until(lambda: synced == [2])


async def test_a_message_that_control_will_not_take_does_not_stop_the_next() -> None:
    async with rig() as one:
        normal = one.control._answer
        one.control._answer = (  # type: ignore[method-assign]
            lambda m: {"type": "failed", "code": "invalid"} if "gateway.bad" in str(m) else normal(m)
        )
        one.authority.report(None, "gateway.bad", {})
        one.authority.report(None, "gateway.good", {})
        await one.control.until(lambda: one.control.codes() == ["gateway.good"])


async def test_orders_are_passed_on_and_those_that_come_too_early_are_kept() -> None:
    async with rig() as one:
        one.known = False
        one.control.order("end", "ses_1", "revoked", 7)
        one.control.order("dance", "ses_1")
        async with asyncio.timeout(5):
            while not one.orders:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert one.orders == [Order(OrderKind.END, "ses_1", "revoked", 7)]
        assert one.authority.early_order("ses_1") == one.orders[0]
        assert one.authority.early_order("ses_1") is None


async def test_nothing_that_comes_too_early_undoes_an_early_end() -> None:
    async with rig() as one:
        one.known = False
        for kind in ("freeze", "cut", "freeze", "thaw", "message", "watch"):
            one.control.order(kind, "ses_1", kind, 7, watch_id="wch_1" if kind == "watch" else "")
        async with asyncio.timeout(5):
            while len(one.orders) < 6:
                await asyncio.sleep(0.01)
        assert one.orders[-1] == Order(OrderKind.WATCH, "ses_1", "watch", 7, "wch_1")
        early = one.authority.early_order("ses_1")
        assert early is not None
        assert early.kind is OrderKind.CUT
        one.control.order("message", "ses_2", "hello", 7)
        async with asyncio.timeout(5):
            while len(one.orders) < 7:
                await asyncio.sleep(0.01)
        assert one.authority.early_order("ses_2") is None


async def test_an_order_to_test_a_connection_is_passed_on_and_a_malformed_one_is_not() -> None:
    async with rig() as one:
        order = {"type": "order", "order": "probe", "probe_id": "prb_1", "protocol": "ssh", "key_type": ""}
        for more in (
            {"address": "plc", "port": 22, "seconds": 10},
            {"address": "10.20.0.4", "port": 22, "seconds": 10},
        ):
            for writer in one.control._writers:
                writer.write(encode({**order, **more}))
        async with asyncio.timeout(10):
            while not one.probes:
                await asyncio.sleep(0.01)
        assert one.probes == [ProbeOrder("prb_1", "ssh", "10.20.0.4", 22, "", 10)]
        assert one.orders == []


async def test_an_order_to_remove_is_passed_on_with_its_tombstone_and_without_one_is_not() -> None:
    async with rig() as one:
        for more in ({}, {"tombstone": 7}, {"tombstone": "{stone}"}):
            for writer in one.control._writers:
                writer.write(encode({"type": "order", "order": "remove", **more}))
        async with asyncio.timeout(10):
            while not one.removals:
                await asyncio.sleep(0.01)
        assert one.removals == [b"{stone}"]
        assert one.orders == []


async def test_an_order_to_let_a_file_go_is_passed_on_with_its_receipt_and_without_one_is_not() -> None:
    async with rig() as one:
        for more in ({}, {"receipt": 7}, {"receipt": "{receipt}"}):
            for writer in one.control._writers:
                writer.write(encode({"type": "order", "order": "release", **more}))
        async with asyncio.timeout(10):
            while not one.releases:
                await asyncio.sleep(0.01)
        assert (one.releases, one.removals, one.orders) == ([b"{receipt}"], [], [])
