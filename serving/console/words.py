"""What pages of cases say in common: levels, stages, minutes, money, pseudonyms."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from data.pseudonyms import HEX
from models.dissuasion import WAYS
from models.policy import Level
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.words import SCAM_TYPES, STAGES

__all__ = ["Words", "new_key"]

_CHANNELS: Mapping[str, tuple[str, str]] = {
    "sms_12381": ("12381短信", "12381 SMS"),
    "ai_call": ("AI外呼", "AI call"),
    "call_96110": ("96110人工电话", "96110 call"),
    "visit": ("上门", "visit"),
}
_SCRIPTS: Mapping[str, tuple[str, str]] = {
    "plain": ("一般提醒", "plain warning"),
    "scheme": ("讲明骗局下一步", "telling the fraud's next step"),
}
_MINUTE_S = 60
_RESTS = (30, 60, 120, 240, 720)


def new_key() -> str:
    """A key for one form: sent twice, it does nothing twice."""
    return secrets.token_hex(12)


@dataclass(frozen=True)
class Words:
    """How a city says things, at a moment.

    Parameters
    ----------
    config : CaseConfig
    now : datetime
    """

    config: CaseConfig
    now: datetime

    @property
    def channels(self) -> Mapping[str, tuple[str, str]]:
        """Ways to reach a citizen, by code."""
        return _CHANNELS

    @property
    def scripts(self) -> Mapping[str, tuple[str, str]]:
        """What is said, by code."""
        return _SCRIPTS

    @property
    def levels(self) -> tuple[Level, ...]:
        """The most urgent first."""
        return self.config.levels

    @property
    def scam_types(self) -> Mapping[str, tuple[str, str]]:
        """By code."""
        return SCAM_TYPES

    def level(self, name: str) -> tuple[str, str]:
        """What a level is called; one of another policy by its code."""
        return next(((one.zh, one.en) for one in self.levels if one.name == name), (name, name))

    def colour(self, name: str) -> str:
        """``#rrggbb``; never alone, the name stands beside it."""
        return next((one.colour for one in self.levels if one.name == name), "#51606e")

    def scam_type(self, name: str) -> tuple[str, str]:
        """What a scam type is called."""
        return SCAM_TYPES.get(name, (name, name))

    def stage(self, name: str) -> tuple[str, str]:
        """How far it has gone."""
        return STAGES.get(name, (name, name))

    def tier(self, name: str) -> tuple[str, str]:
        """Who has it."""
        tiers = self.config.tiers
        return next(((one.zh, one.en) for one in tiers if one.name == name), (name, name))

    def channel(self, name: str) -> tuple[str, str]:
        """How a citizen is reached."""
        return _CHANNELS.get(name, (name, name))

    def script(self, name: str) -> tuple[str, str]:
        """What he is told."""
        return _SCRIPTS.get(name, (name, name))

    def way(self, channel: str, script: str) -> tuple[str, str]:
        """Both."""
        known = ((one.zh, one.en) for one in WAYS if (one.channel, one.script) == (channel, script))
        (zh, en), (more_zh, more_en) = self.channel(channel), self.script(script)
        return next(known, (f"{zh}，{more_zh}", f"{en}, {more_en}"))

    def minutes_to(self, at: datetime) -> int:
        """Whole minutes until a moment; below 0 once it has passed."""
        return int((at - self.now).total_seconds() // _MINUTE_S)

    def here(self, at: datetime) -> datetime:
        """A moment by the city's clocks."""
        return at.astimezone(ZoneInfo(self.config.zone))

    def clock(self, at: datetime) -> str:
        """Its hour and minute."""
        return self.config.clock(at)

    def short(self, pseudonym: str) -> str:
        """The first eight characters of a pseudonym's digits: enough to tell a list apart.

        Examples
        --------
        >>> words = Words(CaseConfig.preset(), datetime(2026, 3, 1))
        >>> words.short("tel_0123456789abcdef0123456789abcdef")
        '01234567'
        """
        return pseudonym[-HEX:][:8]

    @property
    def rests(self) -> tuple[tuple[str, str, int], ...]:
        """Until when a case may rest: the moment, its clock, minutes from now."""
        moments = ((self.now + timedelta(minutes=one), one) for one in _RESTS)
        whole = ((at.replace(second=0, microsecond=0), one) for at, one in moments)
        return tuple((at.isoformat(), self.clock(at), one) for at, one in whole)

    def held_by(self, case: Case) -> str | None:
        """Who has it open now."""
        held = case.locked_until is not None and case.locked_until > self.now
        return case.locked_by if held else None

    def money(self, cny: float | None) -> str:
        """Yuan in whole numbers, with thousands."""
        return "" if cny is None else f"{cny:,.0f}"

    def told(self) -> dict[str, Any]:
        """For a template."""
        return {"words": self, "now": self.now}
