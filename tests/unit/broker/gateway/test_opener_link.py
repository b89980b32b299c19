"""What the opener is asked, word for word."""

import asyncio

import pytest

from broker.gateway.opener_link import NotMarked, OpenerLink
from broker.gateway.testing import knock
from tests.unit.broker.gateway.folders import short_folder
from tests.unit.broker.gateway.test_local_link import Message, peer


async def test_a_flow_is_marked_and_its_window_shut() -> None:
    seen: list[Message] = []

    def opener(message: Message) -> Message:
        seen.append(message)
        return {"type": "done", "id": message["id"]}

    expected, _ = knock()
    with short_folder() as folder:
        link = OpenerLink(folder / "o")
        task = asyncio.create_task(link.run())
        async with peer(folder / "o", opener):
            await asyncio.wait_for(link._link.up.wait(), 5)
            await link.mark(expected, 4000)
            assert await link.shut(expected)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    about = {"door": 2, "address": "127.0.0.1"}
    assert seen[0] == {"v": 1, "id": 1, "type": "mark", **about, "port": 4000, "mark": 7}
    assert seen[1] == {"v": 1, "id": 2, "type": "shut", **about, "knock_id": expected.knock_id}


async def test_without_the_opener_no_flow_counts_as_marked() -> None:
    expected, _ = knock()
    with short_folder() as folder:
        link = OpenerLink(folder / "o")
        with pytest.raises(NotMarked):
            await link.mark(expected, 4000)
        assert not await link.shut(expected)
