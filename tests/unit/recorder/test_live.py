import asyncio

import pytest

from recorder.frames import Frame, FrameKind
from recorder.live import FeedEndedError, LiveFeed


def frames(count: int, size: int = 1) -> list[Frame]:
    return [Frame(FrameKind.OUTPUT, 0, i, bytes(size)) for i in range(count)]


async def test_a_watcher_gets_what_comes_after_its_position_and_nothing_twice() -> None:
    feed = LiveFeed()
    feed.publish(frames(3))
    watcher = feed.watch()
    assert watcher.position == feed.position == 3
    feed.publish(frames(2))
    feed.publish([])
    feed.publish(frames(1))
    first, second = await watcher.next(), await watcher.next()
    assert (first.first_frame, len(first.frames), second.first_frame) == (4, 2, 6)


async def test_a_waiting_watcher_is_woken() -> None:
    feed = LiveFeed()
    watcher = feed.watch()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(watcher.next())
        await asyncio.sleep(0)
        feed.publish(frames(1))
    assert reading.result().first_frame == 1


async def test_a_slow_watcher_is_dropped_and_told_and_the_others_go_on() -> None:
    feed = LiveFeed(most_waiting_bytes=1000)
    slow, quick = feed.watch(), feed.watch()
    for _ in range(3):
        feed.publish(frames(1, size=400))
        await quick.next()
    with pytest.raises(FeedEndedError) as told:
        await slow.next()
    assert told.value.code == "fell_behind"
    feed.publish(frames(1))
    assert (await quick.next()).first_frame == 4


async def test_a_watcher_reads_what_is_left_and_then_hears_why_the_feed_ended() -> None:
    feed = LiveFeed()
    watcher = feed.watch()
    feed.publish(frames(1))
    feed.end("cut")
    assert (await watcher.next()).first_frame == 1
    for _ in range(2):
        with pytest.raises(FeedEndedError) as told:
            await watcher.next()
        assert told.value.code == "cut"
    with pytest.raises(FeedEndedError):
        feed.watch()


async def test_the_number_of_watchers_is_bounded_and_leaving_makes_room() -> None:
    feed = LiveFeed(most_watchers=1)
    watcher = feed.watch()
    with pytest.raises(FeedEndedError) as refusal:
        feed.watch()
    assert refusal.value.code == "too_many_watchers"
    watcher.leave()
    watcher.leave()
    with pytest.raises(FeedEndedError):
        await watcher.next()
    feed.watch()
