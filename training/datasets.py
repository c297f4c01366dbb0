"""What could be learnt at `as_of`: vectors and labels as they were known, cut in time.

Every part is labelled with what was known when it would have been used: the training part as of
the tuning part's start, tuning and calibration as of the test's start, the test as of `as_of`.
Windows look back over part borders, labels never look forward over them.

Harmless events outnumber frauds a thousand to one, so training and tuning keep every fraud and a
share of the rest, chosen by a hash of ``seq``; tuning weighs the rest up again, and calibration, on
a slice that keeps everything, brings the scores back to the city's own rate. Calibration and
test keep whole citizens, all of them unless the slice is too large, since the figures there are
about citizens and days.
"""

import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.history import History
from data.labels import EventLabels, label_events
from data.outcomes import outcomes_fingerprint, read_outcomes
from data.tables import TIME
from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet
from features.windows import bulk
from models.trees import Floats, Rows
from training.splits import AsOfSplit, as_of_split

__all__ = ["PARTS", "Dataset", "DatasetConfig", "Part", "build", "moments", "uniform"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Moments = NDArray[np.datetime64]
Labels = dict[str, Ints]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class DatasetConfig:
    """Lengths of the parts in days, and how many events are enough to learn from.

    Parameters
    ----------
    delay : float
        Days until most labels are in: the gaps between parts, and the immature tail.
    warmup : float
        First days of the history, left out because windows are still filling.
    tune, calibrate, test : float
        Days of the three later parts.
    others : int
        Harmless events kept for training; tuning keeps them at the same rate.
    judged : int
        Events kept for calibration and for the test, each, as whole citizens.
    zone : str
        The city's time zone.
    threads : int
        Workers of the feature engine.
    """

    delay: float = 7.0
    warmup: float = 2.0
    tune: float = 5.0
    calibrate: float = 5.0
    test: float = 7.0
    others: int = 300_000
    judged: int = 500_000
    zone: str = "Asia/Shanghai"
    threads: int = 2


@dataclass(frozen=True)
class Part:
    """Scored events of one span in order of arrival, one entry an event in every array.

    Parameters
    ----------
    X : float64 array (n, p)
        Vectors.
    seq, citizen, kind, amount_fen : int array (n,)
        Order of arrival; codes into `Dataset.citizens` and `Dataset.kinds`; fen, 0 without money.
    known_at, occurred_at : datetime64[us] array (n,)
        UTC.
    y, scam_type, stage, episode : int array (n,)
        1 fraud, 0 not, -1 unknown; the rest -1 where y is not 1 (episode: outside one).
    weight : float64 array (n,)
        Events of the city each stands for.
    """

    X: Floats
    seq: Ints
    citizen: Ints
    kind: Ints
    amount_fen: Ints
    known_at: Moments
    occurred_at: Moments
    y: Ints
    scam_type: Ints
    stage: Ints
    episode: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, chosen: NDArray[Any]) -> "Part":
        """The chosen rows (a mask or row numbers), in the order given."""
        return Part(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    @property
    def known(self) -> "Part":
        """Rows whose label is known."""
        return self.take(self.y >= 0)

    @property
    def frauds(self) -> "Part":
        """Rows at which a citizen is being defrauded."""
        return self.take(self.y == 1)

    def rows(self, *, weighted: bool = True) -> Rows:
        """Vectors, fraud labels and weights, as models take them."""
        return Rows(self.X, self.y, self.weight if weighted else None)

    @property
    def day(self) -> Ints:
        """Day of arrival in UTC, days since 1970."""
        days: Ints = self.known_at.astype("datetime64[D]").astype(np.int64)
        return days

    @property
    def seconds(self) -> Floats:
        """Time of arrival, seconds since 1970."""
        moments: Floats = self.known_at.astype("datetime64[us]").astype(np.int64) / 1e6
        return moments


@dataclass(frozen=True)
class Dataset:
    """The parts of one `as_of`, and what they were made from.

    Parameters
    ----------
    train, tune, calibrate, test : Part
    names : tuple of str
        Columns of X.
    features : str
        Digest of the feature set.
    fingerprint : str
        Digest of everything known before `as_of`.
    edges : tuple of (part, from, until)
        Half-open spans of known_at.
    citizens, kinds : array of str
        What the codes mean (pseudonyms, kinds of event).
    share : dict
        Share of harmless events (train, tune) or of citizens (calibrate, test) kept.
    """

    train: Part
    tune: Part
    calibrate: Part
    test: Part
    names: tuple[str, ...]
    features: str
    fingerprint: str
    as_of: datetime
    edges: tuple[tuple[str, Any, Any], ...]
    citizens: NDArray[Any]
    kinds: NDArray[Any]
    share: dict[str, float]


def uniform(numbers: NDArray[Any], salt: int) -> Floats:
    """A fixed number in [0, 1) for each integer: the same row is kept in every run.

    References
    ----------
    Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.

    Examples
    --------
    >>> bool((uniform(np.arange(3), 1) == uniform(np.arange(3), 1)).all())
    True
    """
    with np.errstate(over="ignore"):
        z = (numbers.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def build(
    history: History,
    as_of: datetime,
    *,
    features: FeatureSet = FRAUD_FEATURES,
    config: DatasetConfig | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read what was known before `as_of`, label it as it was known, and cut it in time.

    Outcomes of cases that lie beside the history are labels too.

    Raises
    ------
    ValueError
        Where the history is too short for the parts.
    """
    config = config or DatasetConfig()
    outcomes = read_outcomes(history.root)
    with ThreadPoolExecutor(1) as aside:
        fingerprint = aside.submit(history.fingerprint, before=as_of)
        facts = _Facts(history.read(before=as_of), outcomes, as_of)
        dataset = _built(facts, features, config, progress)
        told = outcomes_fingerprint(outcomes, as_of)
        return replace(dataset, fingerprint=_with(fingerprint.result(), told))


@dataclass(frozen=True, eq=False)
class _Facts:
    """Events known before a moment, and outcomes of cases."""

    table: pa.Table
    outcomes: pa.Table
    as_of: datetime


def _with(fingerprint: str, outcomes: str) -> str:
    """One fingerprint of events and outcomes; the events' own where no outcome counts."""
    if not outcomes:
        return fingerprint
    return hashlib.sha256(f"{fingerprint} {outcomes}".encode()).hexdigest()


def _built(
    facts: _Facts, features: FeatureSet, config: DatasetConfig, progress: Progress | None
) -> Dataset:
    table, as_of = facts.table, facts.as_of
    split = _split(moments(table["known_at"]), as_of, config)
    labels = _labels(facts, split, timedelta(days=config.delay))
    chosen, share = _sample(table, split, labels["y"], config)
    wanted = np.sort(np.concatenate(list(chosen.values())))
    X = _vectors(table, features, wanted, config, progress)
    columns, citizens, kinds = _columns(table)
    rows = {**{name: column[wanted] for name, column in (columns | labels).items()}, "X": X}
    return Dataset(
        **{part: _part(rows, np.searchsorted(wanted, chosen[part]), share, part) for part in PARTS},
        names=tuple(features.names),
        features=features.digest,
        fingerprint="",
        as_of=as_of,
        edges=split.edges,
        citizens=citizens,
        kinds=kinds,
        share=share,
    )


def _part(rows: dict[str, NDArray[Any]], at: Ints, share: dict[str, float], part: str) -> Part:
    whole = len(at) > 0 and at[-1] - at[0] + 1 == len(at)
    span = slice(int(at[0]), int(at[-1]) + 1) if whole else at  # a view where it can be one
    columns = {name: column[span] for name, column in rows.items()}
    stands_for = np.full(len(at), 1.0 / share[part])
    if part in ("train", "tune"):
        stands_for[columns["y"] == 1] = 1.0
    return Part(**columns, weight=stands_for)


PARTS = ("train", "tune", "calibrate", "test")
LABELS = ("y", "scam_type", "stage", "episode")
LABELLED_BY = (
    *("seq", "kind", "occurred_at", "known_at", "subscriber", "counterpart", "direction"),
    *("action", "duration_s", "scam_type", "first_contact_at", "phones", "accounts", "apps"),
)
BY_EVENT, BY_CITIZEN = 1, 2  # salts of the two samplings


def _split(known_at: Moments, as_of: datetime, config: DatasetConfig) -> AsOfSplit:
    split = as_of_split(
        known_at,
        as_of,
        delay=config.delay,
        tune=config.tune,
        calibrate=config.calibrate,
        test=config.test,
    )
    warm = known_at[split.train] >= known_at.min() + np.timedelta64(
        timedelta(days=config.warmup), "us"
    )
    return replace(split, train=split.train[warm])


def _labels(facts: _Facts, split: AsOfSplit, delay: timedelta) -> Labels:
    """Labels of every part's rows, as known when the part would have been used."""
    begins = {name: _aware(since) for name, since, _ in split.edges if since is not None}
    used_at = {"train": begins["tune"], "tune": begins["test"], "calibrate": begins["test"]}
    found = {name: np.full(len(facts.table), -1, np.int64) for name in LABELS}
    named = ("event_id",) if len(facts.outcomes) else ()  # long texts: only where they are needed
    table, as_of = facts.table.select([*LABELLED_BY, *named]), facts.as_of
    for moment in dict.fromkeys([*used_at.values(), as_of]):
        known, told = _known(table, moment)
        labels = label_events(told, moment, maturity=delay, outcomes=facts.outcomes)
        for part in PARTS:
            if used_at.get(part, as_of) == moment:
                rows = getattr(split, part)
                _copy(labels, np.searchsorted(known, rows), found, rows)
    return found


def _known(table: pa.Table, moment: datetime) -> tuple[Ints, pa.Table]:
    """Rows known before a moment: numbers and content, without a copy where they come first."""
    mask = pc.less(table["known_at"], pa.scalar(moment, TIME)).to_numpy()
    known = np.flatnonzero(mask)
    first = len(known) == 0 or known[-1] == len(known) - 1
    return known, table.slice(0, len(known)) if first else table.take(known)


def _copy(labels: EventLabels, rows: Ints, found: Labels, into: Ints) -> None:
    for name in LABELS:
        found[name][into] = getattr(labels, name)[rows]


def _sample(
    table: pa.Table, split: AsOfSplit, y: Ints, config: DatasetConfig
) -> tuple[dict[str, Ints], dict[str, float]]:
    """Rows to keep of each part, and the share of the sampled ones that was kept."""
    scored = (y >= 0) & pc.not_equal(table["kind"].cast(pa.string()), "report").to_numpy()
    usable = {part: _where(getattr(split, part), scored) for part in PARTS}
    others = max(1, int((y[usable["train"]] == 0).sum()))
    share = {part: min(1.0, config.others / others) for part in ("train", "tune")}
    draw = uniform(table["seq"].to_numpy(), BY_EVENT)
    chosen = {part: _where(usable[part], (y == 1) | (draw < share[part])) for part in share}
    for part in ("calibrate", "test"):
        share[part] = min(1.0, config.judged / max(1, len(usable[part])))
        chosen[part] = _where(usable[part], _citizens_kept(table, share[part]))
    return chosen, share


def _where(rows: Ints, mask: Bools) -> Ints:
    return rows[mask[rows]]


def _citizens_kept(table: pa.Table, share: float) -> Bools:
    column = table["subscriber"].combine_chunks()
    # crc32, not hash(): the same citizens in every process
    numbers = np.array([zlib.crc32(name.encode()) for name in column.dictionary.to_pylist()])
    kept: Bools = (uniform(numbers, BY_CITIZEN) < share)[column.indices.to_numpy()]
    return kept


def _vectors(
    table: pa.Table,
    features: FeatureSet,
    wanted: Ints,
    config: DatasetConfig,
    progress: Progress | None,
) -> Floats:
    select = np.zeros(len(table), np.bool_)
    select[wanted] = True
    return bulk(
        table,
        features,
        zone=config.zone,
        threads=config.threads,
        select=select,
        repeats="trust",  # intake lets an event_id in once
        progress=progress,
    ).X


def _columns(table: pa.Table) -> tuple[dict[str, NDArray[Any]], NDArray[Any], NDArray[Any]]:
    """Columns of the parts over the whole table, then what citizen and kind codes mean."""
    citizens, citizen = _ranked(table["subscriber"])
    kinds, kind = _ranked(table["kind"])
    columns = {
        "seq": table["seq"].to_numpy(),
        "citizen": citizen,
        "kind": kind,
        "amount_fen": table["amount_fen"].fill_null(0).to_numpy(),
        "known_at": moments(table["known_at"]),
        "occurred_at": moments(table["occurred_at"]),
    }
    return columns, citizens, kinds


def _ranked(column: pa.ChunkedArray) -> tuple[NDArray[Any], Ints]:
    """Values in alphabetical order and each row's rank: codes that no later event can change."""
    encoded = column.combine_chunks()
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=np.str_)
    indices = encoded.indices.to_numpy()
    used = np.unique(indices)
    order = used[np.argsort(names[used], kind="stable")]
    rank = np.full(len(names), -1, np.int64)
    rank[order] = np.arange(len(order))
    return names[order], rank[indices]


def moments(column: pa.ChunkedArray) -> Moments:
    """A time column as numpy's UTC microseconds."""
    found: Moments = column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    return found


def _aware(moment: np.datetime64) -> datetime:
    return datetime.fromisoformat(str(moment)).replace(tzinfo=UTC)
