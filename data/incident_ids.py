"""Names for incidents whose source has none, derived from what they say.

The same time, category and place give the same name, on any machine and whenever it is asked: a
file that is brought again brings nothing new. Two alike in one file stay two, by their count.
"""

from datetime import datetime
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.tables import TIME

__all__ = ["content_id", "content_ids"]

Words = NDArray[np.uint64]

# SplitMix64: Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
HEAD = np.frombuffer(b"i-", np.uint8)


def content_id(
    occurred_at: datetime, category: str, lon: float, lat: float, *, copy: int = 0
) -> str:
    """Name of one incident.

    Parameters
    ----------
    copy : int
        How many alike came before it in its file.

    Examples
    --------
    >>> from datetime import UTC
    >>> content_id(datetime(2026, 3, 1, tzinfo=UTC), "THEFT", 106.55, 29.56)
    'i-fea4d06754ec2f96ee796025ad13ed3d'
    """
    moment = np.array([pa.scalar(occurred_at, TIME).value])
    names = content_ids(moment, pa.array([category]), np.array([lon]), np.array([lat]))
    name: str = names[0].as_py()
    return f"{name}-{copy}" if copy else name


def content_ids(
    occurred_us: NDArray[np.int64],
    category: pa.Array,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
) -> pa.Array:
    """Names of the incidents of one file, in its order.

    Parameters
    ----------
    occurred_us : array of shape (n,)
        Microseconds since 1970 UTC.
    category : array of strings, shape (n,)
    lon, lat : array of shape (n,)
        Degrees.

    Returns
    -------
    array of strings, shape (n,)
        128 bits of the content each: that two among ten million which differ share a name has a
        chance of 1 in 10**25.
    """
    first, other = _said(category)
    for numbers in (occurred_us, _bits(lon), _bits(lat)):
        first, other = _mixed(first, numbers), _mixed(other, numbers)
    return _counted(_hex(first, other), _copies(first, other))


def _said(category: pa.Array) -> tuple[Words, Words]:
    """Two numbers a category, by its letters alone."""
    coded = category if pa.types.is_dictionary(category.type) else category.dictionary_encode()
    digests = [
        blake2b(text.encode(), digest_size=16).digest() for text in coded.dictionary.to_pylist()
    ]
    words = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)[coded.indices.to_numpy()]
    return words[:, 0], words[:, 1]


def _bits(degrees: NDArray[np.float64]) -> NDArray[np.int64]:
    plain = np.asarray(degrees, np.float64) + 0.0  # -0.0 is 0.0
    return plain.view(np.int64)


def _mixed(state: Words, numbers: NDArray[np.int64]) -> Words:
    words = (state ^ numbers.astype(np.int64).view(np.uint64)) + GAMMA
    words = (words ^ (words >> np.uint64(30))) * MIX_1
    words = (words ^ (words >> np.uint64(27))) * MIX_2
    return words ^ (words >> np.uint64(31))


def _copies(first: Words, other: Words) -> NDArray[np.int64]:
    """How many alike came before each."""
    order = np.lexsort((other, first))  # stable: alike ones stay in the file's order
    one, two = first[order], other[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (one[1:] != one[:-1]) | (two[1:] != two[:-1])
    places = np.arange(len(order))
    copies = np.empty(len(order), np.int64)
    copies[order] = places - np.maximum.accumulate(np.where(begins, places, 0))
    return copies


def _hex(first: Words, other: Words) -> pa.Array:
    """Letters of all names at once, as Arrow keeps them."""
    count = len(first)
    parts = np.column_stack([first, other]).astype(">u8").view(np.uint8).reshape(count, 16)
    letters = np.empty((count, len(HEAD) + 32), np.uint8)
    letters[:, : len(HEAD)] = HEAD
    letters[:, len(HEAD) :: 2] = DIGITS[parts >> 4]
    letters[:, len(HEAD) + 1 :: 2] = DIGITS[parts & 15]
    ends = np.arange(count + 1, dtype=np.int64) * letters.shape[1]
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.large_string(), count, buffers).cast(pa.string())


def _counted(names: pa.Array, copies: NDArray[np.int64]) -> pa.Array:
    again = copies > 0
    if again.any():
        counts = pa.array(copies[again]).cast(pa.string())
        renamed = pc.binary_join_element_wise(names.filter(pa.array(again)), counts, "-")
        names = pc.replace_with_mask(names, pa.array(again), renamed)
    return names
