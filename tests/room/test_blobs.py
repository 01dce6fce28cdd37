from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.blobs import Blobs

KEYS = st.binary(min_size=1, max_size=4)
CONTENTS = st.binary(min_size=1, max_size=40)
LIMIT = 100


@given(st.lists(st.tuples(KEYS, CONTENTS)))
def test_what_is_kept_is_the_last_that_fitted(steps: list[tuple[bytes, bytes]]) -> None:
    blobs, model = Blobs(), dict[bytes, bytes]()
    for key, contents in steps:
        size = sum(len(name) + len(model[name]) for name in model)
        fits = size + len(key) + len(contents) <= LIMIT
        assert blobs.store(key, contents, LIMIT) == fits
        if fits:
            model[key] = contents
        assert {name: blobs.get(name) for name, _ in steps} == {
            name: model.get(name) for name, _ in steps
        }


def test_no_limit_is_no_limit() -> None:
    blobs = Blobs()
    assert blobs.store(b"k", bytes(1_000_000), 0)
    assert blobs.get(b"other") is None
