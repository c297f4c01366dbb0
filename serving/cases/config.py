"""How a city works its cases: levels, tiers, deadlines, budgets; data, because cities differ.

Two presets are shipped, `red_yellow_blue` and `urgent_high_medium_low` (紧急、高、中、低); a city
copies one and changes what differs. The levels in service are always those of the model bundle's
policy: see `CaseConfig.under`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo, available_timezones

from data.events import Lead, ScamType
from models.policy import Level, Policy, levels_from_text
from models.trees import ModelError

__all__ = ["GRADES", "PRESETS", "CaseConfig", "CaseConfigError", "Tier"]

GRADES: tuple[str, ...] = get_args(Lead.model_fields["grade"].annotation)
"""Grades of other platforms' leads, the most urgent first."""

_FOLDER = Path(__file__).with_name("presets")
PRESETS = ("red_yellow_blue", "urgent_high_medium_low")

# Chongqing 2023 (DOMAIN.md 1): CNY 1.28 bn lost in about 120 cases a day
MEAN_LOSS_CNY = 29_200.0


class CaseConfigError(ValueError):
    """A configuration of cases that cannot be used."""


@dataclass(frozen=True)
class Tier:
    """A level of command: its code, its names."""

    name: str
    zh: str
    en: str


TIERS = (
    Tier("city", "市局", "city bureau"),
    Tier("district", "分局", "district bureau"),
    Tier("station", "派出所", "police station"),
    Tier("post", "警务站", "police post"),
    Tier("unit", "最小作战单元", "smallest unit"),
)
"""The five tiers of DOMAIN.md section 1, from the top."""


@dataclass(frozen=True)
class CaseConfig:
    """What may differ between cities.

    Parameters
    ----------
    levels : tuple of Level
        The most urgent first; names, colours, channels, deadlines.
    grades : mapping of grade to level name
        Which level another platform's lead has.
    starts : mapping of level name to tier name
        Where a case of a known district goes first; without one it goes to the top tier.
    tiers : tuple of Tier
        From the top.
    episode_gap_h : float
        An episode ends so long after its last evidence.
    escalate_every_min : float
        A case past its deadline rises one tier, and another after each such time.
    contacts_per_day : int
        Most attempts with one citizen in 24 hours, all platforms together.
    cool_down_min : float
        Between two attempts with one citizen.
    lock_min : float
        How long a case stays with the officer who opened it.
    loss_cny : mapping of scam type to float
        Mean loss; types without one count as `mean_loss_cny`.
    mean_loss_cny : float
    zone : str
        The city's time zone, for sentences.

    Examples
    --------
    >>> config = CaseConfig.preset("urgent_high_medium_low")
    >>> [level.zh for level in config.levels], config.level_of_grade("high").en
    (['紧急', '高', '中', '低'], 'high')
    """

    levels: tuple[Level, ...]
    grades: Mapping[str, str]
    starts: Mapping[str, str]
    tiers: tuple[Tier, ...] = TIERS
    episode_gap_h: float = 168.0
    escalate_every_min: float = 30.0
    contacts_per_day: int = 5  # Shenzhen: five calls a success; DOMAIN.md 1
    cool_down_min: float = 10.0
    lock_min: float = 15.0
    loss_cny: Mapping[str, float] = field(default_factory=dict)
    mean_loss_cny: float = MEAN_LOSS_CNY
    zone: str = "Asia/Shanghai"

    def __post_init__(self) -> None:
        names, tiers = self.level_names, {tier.name for tier in self.tiers}
        _known("grades", GRADES, set(self.grades))
        _known("levels of grades", set(self.grades.values()), names)
        _known("levels of starts", names, set(self.starts))
        _known("tiers of starts", set(self.starts.values()), tiers)
        _known("scam types of loss_cny", set(self.loss_cny), {str(kind) for kind in ScamType})
        if self.zone not in available_timezones():
            raise CaseConfigError(f"expected a time zone of the tz database, found {self.zone!r}")
        for one in (
            "episode_gap_h",
            "escalate_every_min",
            "contacts_per_day",
            "lock_min",
            "mean_loss_cny",
        ):
            if getattr(self, one) <= 0:
                raise CaseConfigError(f"expected {one} above 0, found {getattr(self, one)}")

    @property
    def level_names(self) -> set[str]:
        """Codes of the levels."""
        return {level.name for level in self.levels}

    @property
    def episode_gap(self) -> timedelta:
        """How long after its last evidence an episode ends."""
        return timedelta(hours=self.episode_gap_h)

    @classmethod
    def preset(cls, name: str = PRESETS[0]) -> "CaseConfig":
        """A configuration that is shipped."""
        return cls.load(_FOLDER / f"{name}.json")

    @classmethod
    def load(cls, path: Path) -> "CaseConfig":
        """Read a JSON object with the fields of this class.

        Raises
        ------
        CaseConfigError
            If it cannot be read, or a field is wrong.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            content["levels"] = levels_from_text(json.dumps(content["levels"]))
            if "tiers" in content:
                content["tiers"] = tuple(Tier(**tier) for tier in content["tiers"])
            return cls(**content)
        except (OSError, KeyError, TypeError, json.JSONDecodeError, ModelError) as error:
            names = ", ".join(part.name for part in fields(cls))
            raise CaseConfigError(
                f"expected in {path.name} a JSON object with {names}, found "
                f"{type(error).__name__}: {error}; start from one of the presets {PRESETS}"
            ) from error

    @classmethod
    def of(cls, policy: Policy) -> "CaseConfig":
        """The shipped preset with the policy's level names, or the first under its levels."""
        names = {level.name for level in policy.levels}
        found = [one for one in map(cls.preset, PRESETS) if one.level_names == names]
        return (found[0] if found else cls.preset()).under(policy)

    def under(self, policy: Policy) -> "CaseConfig":
        """The same under a bundle's levels.

        Where the policy has other names than this configuration, grades and first tiers are given
        to its levels by rank.

        Examples
        --------
        >>> from models.policy import standard_levels
        >>> policy = Policy(standard_levels(), (0.5, 0.3, 0.1))
        >>> CaseConfig.preset("urgent_high_medium_low").under(policy).grades
        {'urgent': 'red', 'high': 'red', 'medium': 'yellow', 'low': 'blue'}
        """
        if {level.name for level in policy.levels} == self.level_names:
            return replace(self, levels=policy.levels)
        new = [level.name for level in policy.levels]
        old = [level.name for level in self.levels]
        grades = {grade: _ranked(place, len(GRADES), new) for place, grade in enumerate(GRADES)}
        starts = {
            name: self.starts[_ranked(place, len(new), old)] for place, name in enumerate(new)
        }
        return replace(self, levels=policy.levels, grades=grades, starts=starts)

    def level_of_grade(self, grade: str) -> Level:
        """Level of another platform's lead."""
        return next(level for level in self.levels if level.name == self.grades[grade])

    def urgency(self, level: str) -> int:
        """Rank of a level, 0 the most urgent.

        A name that another bundle's policy gave counts as the most urgent: better one visit too
        many than a citizen whom nobody sees.
        """
        names = [one.name for one in self.levels]
        return names.index(level) if level in names else 0

    def clock(self, at: datetime) -> str:
        """A moment as the city's clocks show it."""
        return f"{at.astimezone(ZoneInfo(self.zone)):%H:%M}"

    def loss_of(self, scam_type: str) -> float:
        """Mean loss of a scam type, CNY."""
        return self.loss_cny.get(scam_type, self.mean_loss_cny)

    def to_text(self) -> str:
        """JSON, as `load` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"


def _ranked(place: int, of: int, among: Sequence[str]) -> str:
    """Whoever has the same share above him."""
    return among[place * len(among) // of]


def _known(what: str, wanted: Any, given: set[str]) -> None:
    missing = sorted(set(wanted) - given)
    if missing:
        raise CaseConfigError(f"expected {what} among {sorted(given)}, found {missing}; add them")
