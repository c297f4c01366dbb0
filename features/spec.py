"""A feature: key, what, stream and window; name, unit, source and sentences follow from them."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from features.keys import KEYS
from features.operations import OPERATIONS, Operation
from features.periods import LIFE, WINDOWS
from features.streams import BANK, JOINED, STREAMS

__all__ = ["FeatureSet", "FeatureSpec"]


@dataclass(frozen=True)
class FeatureSpec:
    """One number known at a moment.

    Parameters
    ----------
    key : str
        One of `features.keys.KEYS`.
    what : str
        One of `features.operations.OPERATIONS`.
    stream : str
        One of `features.streams.STREAMS`; a field's name where `key` is event or link.
    window : str
        One of `features.periods.WINDOWS`, or "life", or "" where time does not matter.
    value : str
        "amount", "duration" or "surprise" where `what` is about a value.
    of : str
        Stream of the denominator, for shares and rates.

    Examples
    --------
    >>> spec = FeatureSpec("subscriber", "count", "call_in_new", "24h")
    >>> spec.name, spec.unit
    ('subscriber.call_in_new.count.24h', 'events')
    >>> spec.en
    'the subscriber: incoming calls from new numbers in the last 24 hours: {value}'
    """

    key: str
    what: str
    stream: str = ""
    window: str = ""
    value: str = ""
    of: str = ""

    def __post_init__(self) -> None:
        _expect("key", self.key, KEYS)
        _expect("what", self.what, OPERATIONS)
        if self.window:
            _expect("window", self.window, (*WINDOWS, LIFE))
        if self.key not in {"event", "link"}:
            _expect("stream", self.stream, STREAMS)

    @property
    def operation(self) -> Operation:
        """How it is computed and said."""
        return OPERATIONS[self.what]

    @property
    def name(self) -> str:
        """Derived from the definition, never typed."""
        of = f"of_{self.of}" if self.of else ""
        parts = (self.key, self.stream, self.value, self.what, of, self.window)
        return ".".join(part for part in parts if part)

    @property
    def unit(self) -> str:
        """Unit of the value."""
        return self.operation.unit(self)

    @property
    def source(self) -> str:
        """What lawfully provides it."""
        if self.key == "link":
            return JOINED
        if self.key == "event":
            return self.operation.field(self.stream).source
        if self.key in {"account", "payee_account"}:
            return BANK
        return STREAMS[self.stream].source

    @property
    def zh(self) -> str:
        """Sentence for officers in Chinese, with ``{value}``."""
        return self.operation.sentence(self, 0)

    @property
    def en(self) -> str:
        """Sentence for officers in English, with ``{value}``."""
        return self.operation.sentence(self, 1)


def _expect(part: str, found: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if found not in names:
        raise ValueError(f"{part}: expected one of {', '.join(names)}; found {found!r}")


@dataclass(frozen=True)
class FeatureSet:
    """An ordered set of specs: the columns of every vector made from it.

    Examples
    --------
    >>> few = FeatureSet((FeatureSpec("subscriber", "count", "any", "24h"),))
    >>> few.names
    ('subscriber.any.count.24h',)
    >>> len(few.digest)
    64
    """

    specs: tuple[FeatureSpec, ...]

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.specs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"features: expected each once, found twice {twice}; drop one")

    def __len__(self) -> int:
        return len(self.specs)

    def __iter__(self) -> Iterator[FeatureSpec]:
        return iter(self.specs)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(spec.name for spec in self.specs)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of every definition, streams and windows included."""
        parts = [
            [spec.name, repr(spec), spec.unit, repr(STREAMS.get(spec.stream))] for spec in self
        ]
        windows = [repr(window) for window in WINDOWS.values()]
        text = json.dumps([ENGINE, parts, windows], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _by_name(self) -> dict[str, FeatureSpec]:
        return {spec.name: spec for spec in self.specs}

    def spec(self, name: str) -> FeatureSpec:
        """Look a definition up by its name.

        Raises
        ------
        KeyError
            If the set has no such feature.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(
                f"feature: expected one of this set's {len(self)}, found {name!r}; see .names"
            ) from None

    def only(self, *keys: str) -> "FeatureSet":
        """Those of some keys, in the same order."""
        return FeatureSet(tuple(spec for spec in self.specs if spec.key in keys))

    def without(self, *keys: str) -> "FeatureSet":
        """All but those of some keys, in the same order."""
        return FeatureSet(tuple(spec for spec in self.specs if spec.key not in keys))


ENGINE = 1
"""Raised when the engines' semantics change, so that old bundles refuse new vectors."""
