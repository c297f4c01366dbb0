"""Identifiers of the simulated city: whole numbers inside, believable texts at the border.

A code packs a space (which kind of identifier) and an id. Its text is a fixed one-to-one scramble
of the id, the same for everybody: nothing in the text tells a fraudster's number from a courier's.
"""

from enum import IntEnum

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

__all__ = ["SERVICES", "Space", "code_of", "deviate", "hashed", "mix", "outsider", "texts", "unit"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

SHIFT = 48
MASK = (1 << SHIFT) - 1
LINES = 4_000_000_000  # mobile numbers there are: 40 segments of 10**8
SEGMENTS = np.array(
    [
        *(130, 131, 132, 133, 135, 136, 137, 138, 139, 147, 149, 150, 151, 152, 153, 155, 156),
        *(157, 158, 159, 162, 165, 166, 167, 170, 171, 173, 175, 176, 177, 178, 180, 181, 183),
        *(185, 186, 187, 188, 189, 199),
    ]
).astype("S3")
# banks first, then operators and authorities
SERVICES = (
    *("95588", "95533", "95599", "95566", "95555", "95559", "95580", "95528"),
    *("10086", "10010", "10000", "12345", "110", "114", "12381"),
)
COUNTRIES = np.array([44, 61, 66, 63, 95, 84, 65, 60, 81, 82, 49, 33, 39, 34, 71, 20]).astype("S2")
ENDINGS = np.array([b".com", b".cn", b".net", b".top", b".vip", b".cc"], dtype="S4")
VENDORS = np.array([b"com.", b"cn.", b"net.", b"org."], dtype="S4")
SYLLABLES = np.array(
    [a + b for a in "bdfghjklmnpqstyz" for b in "aeiu"],
    dtype="S2",
)


class Space(IntEnum):
    """Kinds of identifiers."""

    MOBILE = 1
    LANDLINE = 2
    SERVICE = 3
    PORT = 4  # 106… numbers that send messages for firms
    HOTLINE = 5
    FOREIGN = 6
    CARD = 7
    MERCHANT = 8
    SITE = 9
    APP = 10
    DEVICE = 11


# how many texts a space has; ids beyond are folded, so that one text has one code
CAPACITY = np.array(
    [
        *(0, LINES, 10**7, len(SERVICES), 10**9, 10**7, 10**9, 4 * LINES),
        *(10**10, 64**4, 64**4, 10**10),
    ],
    dtype=np.int64,
)


def mix(words: ArrayLike) -> Words:
    """Scramble 64-bit words one to one (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = np.asarray(words, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = (z + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def hashed(*keys: ArrayLike) -> Words:
    """Hash whole numbers, elementwise and broadcast, to 64 bits."""
    found = np.uint64(0x2545F4914F6CDD1D)
    state: Words = np.asarray(found, dtype=np.uint64)
    for key in keys:
        state = mix(state ^ np.asarray(key, dtype=np.int64).astype(np.uint64))
    return state


def unit(*keys: ArrayLike) -> NDArray[np.float64]:
    """Hash whole numbers to [0, 1)."""
    return np.asarray((hashed(*keys) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def deviate(*keys: ArrayLike) -> NDArray[np.float64]:
    """Hash whole numbers to about a standard normal deviate (a sum of eight bytes)."""
    word = hashed(*keys)
    total = np.zeros(word.shape)
    for shift in range(0, 64, 8):
        total += (word >> np.uint64(shift)) & np.uint64(255)
    return np.asarray((total - 8 * 127.5) / (73.9 * 8**0.5), dtype=np.float64)


def code_of(space: ArrayLike, ids: ArrayLike) -> Ints:
    """Pack a space and an id.

    Examples
    --------
    >>> texts(code_of(Space.SERVICE, [0, 12])).to_pylist()
    ['95588', '110']
    """
    spaces = np.asarray(space, dtype=np.int64)
    folded = np.asarray(ids, dtype=np.int64) % CAPACITY[spaces]
    return np.asarray(spaces << SHIFT | folded, dtype=np.int64)


def outsider(subscribers: int, *keys: ArrayLike) -> Ints:
    """Id of a person outside the simulated subscribers, chosen by hash."""
    span = np.uint64(LINES - subscribers)
    return np.asarray((hashed(*keys) % span).astype(np.int64) + subscribers, dtype=np.int64)


def _digits(numbers: Ints, width: int) -> NDArray[np.bytes_]:
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    grid = (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)
    return np.ascontiguousarray(grid).view(f"S{width}").ravel()


def _scrambled(ids: Ints, size: int, factor: int) -> Ints:
    return np.asarray((ids % size * factor + 104_729) % size, dtype=np.int64)


def _letters(ids: Ints) -> NDArray[np.bytes_]:
    number = _scrambled(ids, 64**4, 9_973_151)
    word = SYLLABLES[number % 64]
    for place in (64, 64**2, 64**3):
        word = np.char.add(word, SYLLABLES[number // place % 64])
    return word


def _mobile(ids: Ints) -> NDArray[np.bytes_]:
    number = _scrambled(ids, LINES, 1_618_033_979)
    return np.char.add(SEGMENTS[number // 10**8], _digits(number % 10**8, 8))


def _landline(ids: Ints) -> NDArray[np.bytes_]:
    return np.char.add(b"0236", _digits(_scrambled(ids, 10**7, 7_654_321), 7))


def _service(ids: Ints) -> NDArray[np.bytes_]:
    return np.array(SERVICES, dtype="S6")[ids % len(SERVICES)]


def _port(ids: Ints) -> NDArray[np.bytes_]:
    return np.char.add(b"1069", _digits(_scrambled(ids, 10**9, 618_033_989), 9))


def _hotline(ids: Ints) -> NDArray[np.bytes_]:
    return np.char.add(b"400", _digits(_scrambled(ids, 10**7, 7_654_321), 7))


def _foreign(ids: Ints) -> NDArray[np.bytes_]:
    country = np.char.add(b"+", COUNTRIES[ids % len(COUNTRIES)])
    return np.char.add(country, _digits(_scrambled(ids, 10**9, 618_033_989), 9))


def _card(ids: Ints) -> NDArray[np.bytes_]:
    spread = hashed(ids, 62)
    front = _digits((spread % np.uint64(10**4)).astype(np.int64), 4)
    tail = _digits((spread >> np.uint64(32)).astype(np.int64) % 100, 2)
    middle = _digits(_scrambled(ids, 10**11, 31_415_927), 11)
    return np.char.add(np.char.add(np.char.add(b"62", front), middle), tail)


def _merchant(ids: Ints) -> NDArray[np.bytes_]:
    return np.char.add(b"89865", _digits(_scrambled(ids, 10**10, 618_033_989), 10))


def _site(ids: Ints) -> NDArray[np.bytes_]:
    return np.char.add(_letters(ids), ENDINGS[(hashed(ids, 9) % np.uint64(6)).astype(np.int64)])


def _app(ids: Ints) -> NDArray[np.bytes_]:
    front = VENDORS[(hashed(ids, 10) % np.uint64(4)).astype(np.int64)]
    return np.char.add(front, _letters(ids))


def _device(ids: Ints) -> NDArray[np.bytes_]:
    return np.char.add(b"86", _digits(_scrambled(ids, 10**10, 618_033_989), 10))


WRITERS = {
    Space.MOBILE: _mobile,
    Space.LANDLINE: _landline,
    Space.SERVICE: _service,
    Space.PORT: _port,
    Space.HOTLINE: _hotline,
    Space.FOREIGN: _foreign,
    Space.CARD: _card,
    Space.MERCHANT: _merchant,
    Space.SITE: _site,
    Space.APP: _app,
    Space.DEVICE: _device,
}


def texts(codes: Ints) -> pa.StringArray:
    """Write codes as the texts a bank or an operator would send (no nulls)."""
    codes = np.asarray(codes, dtype=np.int64)
    found = np.zeros(len(codes), dtype="S24")
    spaces = codes >> SHIFT
    for space, write in WRITERS.items():
        here = spaces == space
        if here.any():
            found[here] = write(codes[here] & MASK)
    return pa.array(found).cast(pa.string())
