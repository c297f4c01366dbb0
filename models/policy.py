"""From a score to what is done: levels sized by the alerts a day the centre can work.

Names, colours, channels and deadlines differ by city, so all of them are data. A level takes no
adverse act: it recommends who speaks to the citizen and how soon.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.stage import StageModel
from models.trees import Floats, ModelError

__all__ = ["Advice", "Channel", "Level", "Policy", "levels_from_text", "standard_levels"]

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True)
class Channel:
    """A way to reach the citizen: a code for machines, words for people."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True)
class Level:
    """One warning level.

    Parameters
    ----------
    name : str
        Code, for example ``red``.
    zh, en : str
        What officers call it.
    colour : str
        ``#rrggbb``.
    per_day : float
        Citizens a day this level's people can work.
    floor : float
        Probability below which nobody is warned, however many hands are free.
    channel : Channel
        Who speaks to the citizen.
    deadline_s : mapping of stage to int
        Seconds until that must have happened.
    """

    name: str
    zh: str
    en: str
    colour: str
    per_day: float
    floor: float
    channel: Channel
    deadline_s: Mapping[str, int]

    def __post_init__(self) -> None:
        if not (self.per_day >= 0 and 0.0 <= self.floor <= 1.0):
            raise ModelError(
                f"expected level {self.name!r} with per_day >= 0 and a floor from 0 to 1, found "
                f"{self.per_day} and {self.floor}"
            )
        missing = set(StageModel.labels) - set(self.deadline_s)
        if missing or min(self.deadline_s.values()) <= 0:
            raise ModelError(
                f"expected a deadline above 0 s for each stage of level {self.name!r}, found "
                f"{dict(self.deadline_s)}; add {sorted(missing)}"
            )

    def advice(self, stage: str) -> "Advice":
        """Channel and deadline at a stage."""
        seconds = self.deadline_s[stage]
        zh = f"{self.zh}：{_zh_time(seconds)}内{self.channel.zh}"
        en = f"{self.en}: {self.channel.en}, within {_en_time(seconds)}"
        return Advice(self, self.channel, seconds, zh, en)


@dataclass(frozen=True)
class Advice:
    """What is recommended for one warning: a level, a channel and a deadline."""

    level: Level
    channel: Channel
    deadline_s: int
    zh: str
    en: str


def standard_levels(per_day: float = 100.0) -> tuple[Level, ...]:
    """Red, yellow and blue for a centre that works `per_day` citizens a day, a tenth of them red.

    Examples
    --------
    >>> [(level.name, level.per_day) for level in standard_levels(200)]
    [('red', 20.0), ('yellow', 60.0), ('blue', 120.0)]

    References
    ----------
    Channels and times as DOMAIN.md reports them: 12381 SMS in seconds, 96110 calls, visits by the
    police station; urgent like a 110 call (Suzhou), high in person within 24 h (Xiamen).
    """
    visit = Channel(
        "visit", "派出所上门见面劝阻，同时96110拨打", "visit by the station, 96110 calling"
    )
    call = Channel("call_96110", "96110人工电话劝阻", "call from 96110 by a person")
    text = Channel("sms_12381", "12381短信提醒，AI外呼确认", "12381 SMS, then an AI call")
    return (
        Level("red", "红色预警", "red warning", "#c62828", 0.1 * per_day, 0.05, visit,
              {"paying": 10 * MINUTE_S, "engaged": 30 * MINUTE_S, "contact": 2 * HOUR_S}),
        Level("yellow", "黄色预警", "yellow warning", "#f9a825", 0.3 * per_day, 0.02, call,
              {"paying": 15 * MINUTE_S, "engaged": HOUR_S, "contact": 4 * HOUR_S}),
        Level("blue", "蓝色预警", "blue warning", "#1565c0", 0.6 * per_day, 0.01, text,
              {"paying": 30 * MINUTE_S, "engaged": 2 * HOUR_S, "contact": DAY_S}),
    )  # fmt: skip


def levels_from_text(text: str) -> tuple[Level, ...]:
    """A city's own levels from JSON: a list, the most urgent first, with the fields of `Level`.

    Examples
    --------
    >>> text = json.dumps([asdict(level) for level in standard_levels()])
    >>> levels_from_text(text) == standard_levels()
    True

    Raises
    ------
    ModelError
        If it is no such list.
    """
    try:
        return _levels(json.loads(text))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        names = ", ".join(part.name for part in fields(Level))
        raise ModelError(
            f"expected a JSON list of levels with {names}, "
            f"found {type(error).__name__}: {error}; start from standard_levels()"
        ) from error


def _levels(rows: Sequence[Mapping[str, Any]]) -> tuple[Level, ...]:
    return tuple(Level(**{**row, "channel": Channel(**row["channel"])}) for row in rows)


@dataclass(frozen=True)
class Policy:
    """Levels from the most urgent down, and the score from which each begins.

    Parameters
    ----------
    levels : tuple of Level
    thresholds : tuple of float
        Never rising; a score at the threshold is in the level.
    per_day : tuple of float
        Citizens a day each level warned on the slice the thresholds were fitted on.

    Examples
    --------
    >>> policy = Policy.fit(np.linspace(0, 1, 1000), np.arange(1000) % 10, np.arange(1000),
    ...                     standard_levels(10))
    >>> policy.level(0.9999).name, policy.level(0.5)
    ('red', None)
    >>> policy.advise(0.9999, "paying").deadline_s
    600
    """

    levels: tuple[Level, ...]
    thresholds: tuple[float, ...]
    per_day: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        names = {level.name for level in self.levels}
        if not self.levels or not len(names) == len(self.levels) == len(self.thresholds):
            raise ModelError(
                f"expected levels of different names with one threshold each, found "
                f"{[level.name for level in self.levels]} and {len(self.thresholds)} thresholds"
            )
        if not all(np.diff(self.thresholds) <= 0) or not np.isfinite(self.thresholds).all():
            raise ModelError(
                f"expected thresholds that fall from the first level to the last, found "
                f"{self.thresholds}; fit the policy again"
            )

    @classmethod
    def fit(
        cls,
        scores: Floats,
        day: NDArray[np.integer[Any]],
        citizen: NDArray[np.integer[Any]],
        levels: Sequence[Level] | None = None,
        *,
        share: float = 1.0,
    ) -> "Policy":
        """Set each threshold so that the level stays within its people's capacity.

        A citizen counts once a day, at the day's highest score. Citizens with equal scores are
        warned together or not at all, and never beyond capacity: where the highest group alone is
        too large, the level begins just above it.

        Parameters
        ----------
        scores : float64 array (n,)
            Calibrated scores of every event of a slice of days.
        day, citizen : int arrays (n,)
            Day number and citizen code of each event.
        levels : sequence of Level, optional
            The most urgent first; `standard_levels` by default.
        share : float
            Part of the city's citizens that the slice holds.
        """
        chosen = tuple(standard_levels() if levels is None else levels)
        if len(scores) == 0:
            raise ModelError("expected scores to set thresholds on, found none; take more days")
        peaks, days = _daily_peaks(scores, day, citizen)
        allowed = np.cumsum([level.per_day for level in chosen]) * days * share
        cuts = [_cut(peaks, int(np.floor(count + 1e-9))) for count in allowed]
        floors = [max(cut, lv.floor) for cut, lv in zip(cuts, chosen, strict=True)]
        thresholds = np.minimum.accumulate(floors)
        reached = np.array([np.count_nonzero(peaks >= cut) for cut in thresholds]) / days / share
        own = np.diff(reached, prepend=0.0)
        return cls(chosen, tuple(thresholds.tolist()), tuple(own.tolist()))

    def level(self, score: float) -> Level | None:
        """The level a score falls in, or None below them all."""
        for level, threshold in zip(self.levels, self.thresholds, strict=True):
            if score >= threshold:
                return level
        return None

    def ranks(self, scores: Floats) -> NDArray[np.int64]:
        """Index of each score's level; the number of levels where nobody is warned."""
        return np.searchsorted(-np.asarray(self.thresholds), -scores, side="left")

    def advise(self, score: float, stage: str) -> Advice | None:
        """Channel and deadline for a score at a stage, or None below every level."""
        level = self.level(score)
        return None if level is None else level.advice(stage)

    @property
    def threshold(self) -> float:
        """Score from which anybody is warned at all."""
        return self.thresholds[-1]

    def to_text(self) -> str:
        """JSON; thresholds come back to the same bits."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Policy":
        """Read `to_text` back."""
        content = json.loads(text)
        levels = _levels(content["levels"])
        return cls(levels, tuple(content["thresholds"]), tuple(content["per_day"]))

    def renamed(self, names: Mapping[str, Mapping[str, Any]]) -> "Policy":
        """The same thresholds under a city's own words: ``{"red": {"zh": …, "colour": …}}``."""
        unknown = set(names) - {level.name for level in self.levels}
        if unknown:
            raise ModelError(
                f"expected levels among {[level.name for level in self.levels]}, found "
                f"{sorted(unknown)}"
            )
        levels = tuple(replace(level, **names.get(level.name, {})) for level in self.levels)
        return replace(self, levels=levels)


def _daily_peaks(
    scores: Floats, day: NDArray[np.integer[Any]], citizen: NDArray[np.integer[Any]]
) -> tuple[Floats, int]:
    """Highest score of each citizen on each day, falling, and the number of days."""
    order = np.lexsort((citizen, day))
    new = np.diff(day[order], prepend=day[order][:1] - 1) != 0
    new |= np.diff(citizen[order], prepend=citizen[order][:1] - 1) != 0
    peaks = np.maximum.reduceat(scores[order], np.flatnonzero(new))
    return np.sort(peaks)[::-1], int(day.max() - day.min()) + 1


def _cut(peaks: Floats, count: int) -> float:
    """Lowest score that at most `count` peaks reach."""
    if count >= len(peaks):
        return float(peaks[-1])
    above = float(peaks[count])  # the first citizen there are no hands for, and any level with them
    reached = peaks[peaks > above]
    return float(reached[-1]) if len(reached) else float(np.nextafter(above, np.inf))


def _zh_time(seconds: int) -> str:
    return f"{seconds // HOUR_S}小时" if seconds >= HOUR_S else f"{seconds // MINUTE_S}分钟"


def _en_time(seconds: int) -> str:
    return f"{seconds // HOUR_S} h" if seconds >= HOUR_S else f"{seconds // MINUTE_S} min"
