"""A recording for the stand-in API that has a real index: its chunks and screens are those of the product."""

from recorder.frames import Frame
from recorder.keyframes import Indexer, Place, events_of
from recorder.testing import sample_header
from tests.e2e.web import fake_models as m

_NOWHERE = Place(0, 1, 1, bytes(32))


class IndexedRecording:
    """Answers as `LongRecording` does."""

    def __init__(self, frames: list[Frame]) -> None:
        indexer = Indexer(sample_header())
        for frame in frames:
            indexer.take(frame, _NOWHERE)
        self._frames, self._index = frames, indexer.index()

    def timeline(self) -> m.Times:
        index = self._index
        return m.Times(
            state="ready",
            created_at_ms=1_795_165_200_000,
            columns=index.columns,
            rows=index.rows,
            duration_ms=index.duration_us // 1000,
            chunks=[one.at_us // 1000 for one in index.keyframes],
            silences=[(start // 1000, length // 1000) for start, length in index.silences],
        )

    def chunk(self, number: int) -> m.Chunk | None:
        keyframes = self._index.keyframes
        if not 0 <= number < len(keyframes):
            return None
        begin = keyframes[number]
        end = keyframes[number + 1].first_frame if number + 1 < len(keyframes) else len(self._frames) + 1
        events = events_of(iter(self._frames[begin.first_frame - 1 : end - 1]), begin.programs)
        return m.Chunk(
            at_ms=begin.at_us // 1000,
            columns=begin.columns,
            rows=begin.rows,
            screen=begin.text,
            events=[(one.at_us // 1000, "o" if one.code == "o" else "r", one.text) for one in events],
        )
