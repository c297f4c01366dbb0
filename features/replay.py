"""The certificate: every served vector, made again from the event log, compared bit by bit."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.frame import in_order, without_repeats
from features.spec import FeatureSet
from features.windows import bulk

__all__ = ["Certificate", "Mismatch", "certify", "differences"]

SHOWN = 20


@dataclass(frozen=True)
class Mismatch:
    """One number that came out differently."""

    seq: int
    feature: str
    served: float
    replayed: float


@dataclass(frozen=True)
class Certificate:
    """What a replay of served vectors found.

    Parameters
    ----------
    vectors, values : int
        Vectors and single numbers compared.
    mismatches : int
        Numbers whose bits differ.
    missing : tuple of int
        Orders of arrival that were served and are not in the log.
    examples : tuple of Mismatch
        The first few mismatches.
    digest : str
        Of the feature set.
    """

    vectors: int
    values: int
    mismatches: int
    missing: tuple[int, ...]
    examples: tuple[Mismatch, ...]
    digest: str

    @property
    def holds(self) -> bool:
        """Whether every served number was the replayed one."""
        return self.mismatches == 0 and not self.missing


def differences(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where two matrices of one shape differ in bits; missing (NaN) equals missing.

    Examples
    --------
    >>> differences(np.array([0.0, np.nan, 1.0]), np.array([-0.0, np.nan, 1.0]))
    array([ True, False, False])
    """
    apart = left.view(np.uint64) != right.view(np.uint64)
    found: NDArray[np.bool_] = apart & ~(np.isnan(left) & np.isnan(right))
    return found


def certify(
    history: pa.Table,
    served: tuple[NDArray[np.int64], NDArray[np.float64]],
    features: FeatureSet,
    *,
    zone: str,
    threads: int = 2,
) -> Certificate:
    """Replay served vectors from the event log.

    Parameters
    ----------
    history : Table
        Everything observed, from the first event on, in `data.tables.EVENT_SCHEMA`.
    served : tuple of ndarray
        Orders of arrival (n,) and vectors (n, p) as they were served.
    features : FeatureSet
        Definitions of the columns.
    zone : str
        The city's time zone.
    threads : int
        Workers; the result does not depend on their number.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        If the vectors do not have the set's width.
    """
    seq, values = served
    if values.shape != (len(seq), len(features)):
        raise ValueError(
            f"served: expected vectors of shape ({len(seq)}, {len(features)}), found"
            f" {values.shape}; certify with the feature set they were served from"
        )
    ordered = without_repeats(in_order(history))
    select = np.isin(ordered["seq"].to_numpy(), seq)
    replayed = bulk(ordered, features, zone=zone, threads=threads, select=select, repeats="trust")
    place = np.searchsorted(replayed.seq, seq)
    found = place < len(replayed.seq)
    found[found] = replayed.seq[place[found]] == seq[found]
    left, right = np.ascontiguousarray(values[found]), replayed.X[place[found]]
    apart = differences(left, right)
    return Certificate(
        vectors=int(found.sum()),
        values=int(apart.size),
        mismatches=int(apart.sum()),
        missing=tuple(int(number) for number in seq[~found][:SHOWN]),
        examples=_examples(seq[found], (left, right), apart, features),
        digest=features.digest,
    )


def _examples(
    seq: NDArray[np.int64],
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
    apart: NDArray[np.bool_],
    features: FeatureSet,
) -> tuple[Mismatch, ...]:
    left, right = pair
    return tuple(
        Mismatch(int(seq[row]), features.names[column], left[row, column], right[row, column])
        for row, column in np.argwhere(apart)[:SHOWN].tolist()
    )
