import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from data.seen import Seen


@given(st.lists(st.lists(st.text("abc", max_size=3), max_size=8), max_size=30))
def test_it_remembers_as_a_set_does(portions: list[list[str]]) -> None:
    seen, known = Seen(), set()
    for portion in portions:
        expected = []
        for text in portion:
            expected.append(text not in known)
            known.add(text)
        assert seen.add(pa.array(portion, pa.string())).tolist() == expected
    assert len(seen) == len(known)
