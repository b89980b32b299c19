"""The fuzz targets on arbitrary bytes and on framed, well-formed nonsense: only their own errors come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.link.framing import encode
from spa_knock.opener.verbs import PEER_OF_TYPE
from tests.fuzz.fuzz_knock import TARGETS, fuzz_link, fuzz_packet

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(["door", "address", "seconds", "knock_id", "port", "mark", "marks", "id", "x"])


@pytest.mark.parametrize("target", list(TARGETS))
@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing(target: str, data: bytes) -> None:
    TARGETS[target](data)


@given(kind=st.sampled_from(sorted(PEER_OF_TYPE)), fields=st.dictionaries(names, values, max_size=6))
def test_a_framed_request_with_any_fields_is_a_verb_or_a_refusal(kind: str, fields: dict[str, object]) -> None:
    fuzz_link(encode({**fields, "type": kind}))


@given(data=st.binary(min_size=88, max_size=192))
def test_no_change_to_a_good_packet_is_accepted(data: bytes) -> None:
    fuzz_packet(data)
