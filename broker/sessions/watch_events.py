"""Pure: what a viewer's browser gets, as server-sent events (WHATWG HTML, section 9.2).

`start`, then `frames` with the history, `live` when it is complete, `frames` as they happen, `beat` every few seconds,
`end` with the reason. The id of `frames` is the number of their last frame: a browser that reconnects names it, and
goes on behind it. What was typed is counted and not shown: the screen shows what the target echoes.
"""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from recorder.frames import FrameKind
from recorder.numbered import Numbered

RETRY_MS: Final = 1_000
_HIDDEN: Final = frozenset({FrameKind.INPUT, FrameKind.MASKED_INPUT, FrameKind.ECHOED_INPUT, FrameKind.EOF})


def start(session_id: str, recording_id: str, after_frame: int) -> bytes:
    """The first event: what is watched, and the number of the frame behind which it begins."""
    data = {"session_id": session_id, "recording_id": recording_id, "after_frame": after_frame}
    return b"retry: %d\n" % RETRY_MS + _event("start", data)


def frames(shown: Sequence[Numbered]) -> bytes:
    """Frames to show; nothing at all when none of them is to be seen."""
    items = [_item(one) for one in shown if one.frame.kind not in _HIDDEN]
    if not items:
        return b""
    return _event("frames", {"frames": items}, identity=shown[-1].number)


def live(last_frame: int) -> bytes:
    """The history is complete: what follows happens now."""
    return _event("live", {"last_frame": last_frame})


def beat(last_frame: int) -> bytes:
    """The line works, also when nothing happens."""
    return _event("beat", {"last_frame": last_frame})


def end(reason: str) -> bytes:
    """Nothing more comes on this line."""
    return _event("end", {"reason": reason})


def _event(name: str, data: Mapping[str, object], identity: int | None = None) -> bytes:
    lines = [b"event: " + name.encode()]
    if identity is not None:
        lines.append(b"id: %d" % identity)
    lines.append(b"data: " + orjson.dumps(data))
    return b"\n".join(lines) + b"\n\n"


def _item(one: Numbered) -> dict[str, object]:
    frame = one.frame
    item: dict[str, object] = {
        "n": one.number,
        "at_ms": frame.at_us // 1000,
        "channel": frame.channel,
        "kind": frame.kind.name.lower(),
    }
    match frame.kind:
        case FrameKind.OUTPUT | FrameKind.ERROR_OUTPUT:
            # Bytes, not text: a character may be split between frames, and the target need not speak UTF-8.
            return {**item, "data_b64": base64.b64encode(frame.data).decode("ascii")}
        case FrameKind.RESIZE:
            width, _, height = frame.data.partition(b"x")
            if width.isdigit() and height.isdigit():
                return {**item, "width": int(width), "height": int(height)}
            return item
        case FrameKind.NOTE:
            with contextlib.suppress(ValueError):
                note = orjson.loads(frame.data)
                if isinstance(note, dict):
                    return {**item, "note": note}
            return {**item, "note": {"kind": "note", "text": frame.data.decode("utf-8", "replace")}}
        case _:
            return {**item, "text": frame.data.decode("utf-8", "replace")}
