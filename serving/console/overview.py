"""The supervisor's page: what is late, who has what, what worked, what it saved, for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from models.shares import Share
from serving.access.gate import actor_of
from serving.cases.escalation import Overdue, overdue, overdue_by_tier
from serving.cases.forms import Turn
from serving.cases.outcomes import WORDS
from serving.cases.overview import PERIODS, Overview, Place, overview
from serving.cases.room import CaseRoom
from serving.cases.routing import tier_now
from serving.console.awaiting import awaiting
from serving.console.measures import receiver_name
from serving.console.pages import Pages
from serving.problems import Problem

__all__ = ["METHODS", "Names", "fairness", "overview_page"]

PAGE = "overview.html"
SHOWN = 50  # late cases on the page; the counts are of all

METHODS: Mapping[str, tuple[str, str]] = {
    "typical-loss-x-would-have-left-1": (
        "同类案件的平均损失×本应转出的概率（估计，非实测）",
        "mean loss of such cases x probability that it would have left (estimated, not measured)",
    ),
}
"""What each method of estimating the loss avoided is, in words."""


@dataclass(frozen=True)
class Names:
    """What codes are called.

    Parameters
    ----------
    levels, tiers, outcomes, methods : mapping of code to (zh, en)
    """

    levels: Mapping[str, tuple[str, str]]
    tiers: Mapping[str, tuple[str, str]]
    outcomes: Mapping[str, tuple[str, str]]
    methods: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, room: CaseRoom) -> "Names":
        """Those of a city."""
        return cls(
            {one.name: (one.zh, one.en) for one in room.config.levels},
            {one.name: (one.zh, one.en) for one in room.config.tiers},
            {str(kind): words for kind, words in WORDS.items()},
            METHODS,
        )

    def level(self, code: str) -> tuple[str, str]:
        """A level; one of an earlier policy by its code."""
        return self.levels.get(code, (code, code))

    def tier(self, code: str) -> tuple[str, str]:
        """A tier."""
        return self.tiers.get(code, (code, code))

    def method(self, code: str) -> tuple[str, str]:
        """A method."""
        return self.methods.get(code, (code, code))


async def overview_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/overview``."""
    room: CaseRoom = request.app.state.cases
    days = _days(request)
    async with room.turn(actor_of(request.scope)) as turn:
        told = await _told(turn, days)
    shown: Overview = told["shown"]
    residents = _residents(request)
    told |= {
        "periods": PERIODS,
        "names": Names.of(room),
        "clock": room.config.clock,
        "receiver": partial(receiver_name, request.app.state.office),
        "here": lambda at: at.astimezone(ZoneInfo(room.config.zone)),
        "how_late": partial(how_late, room=room),
        "residents": residents,
        "fair": fairness(shown.places),
    }
    return pages.page(request, PAGE, told)


def how_late(one: Overdue, room: CaseRoom) -> tuple[str, str]:
    """By how much, and who has the case now (zh, en)."""
    minutes = int(one.late / timedelta(minutes=1))
    if minutes < 120:
        zh, en = f"{minutes}分钟", f"{minutes} min"
    elif minutes < 2 * 24 * 60:
        zh, en = f"{minutes // 60}小时", f"{minutes // 60} h"
    else:
        zh, en = f"{minutes // 1440}天", f"{minutes // 1440} days"
    tier = Names.of(room).tier(tier_now(one.case, room.clock(), room.config))
    return f"已超时{zh}，由{tier[0]}督办", f"{en} late, with the {tier[1]}"


async def _told(turn: Turn, days: int) -> dict[str, Any]:
    shown = await overview(turn, days)
    return {
        **await awaiting(turn, shown.since),
        "shown": shown,
        "late": await overdue(turn, SHOWN),
        "late_by_tier": await overdue_by_tier(turn),
    }


def fairness(places: tuple[Place, ...]) -> tuple[str, str]:
    """How little can be concluded, in a sentence (zh, en).

    Examples
    --------
    >>> fairness(())[1]
    'Too few cases to compare districts: nothing can be concluded.'
    >>> fairness((Place("A", 200, Share(10, 100)), Place("B", 200, Share(60, 100))))[0][:13]
    'A、B的误报率区间不含全市'
    """
    told = [place for place in places if not (place.hidden or place.too_few_told)]
    if len(told) < 2:
        zh = "案件太少，无法比较各区：不能得出任何结论。"
        return zh, "Too few cases to compare districts: nothing can be concluded."
    yes, of = (sum(getattr(one.false_alarms, end) for one in told) for end in ("yes", "of"))
    apart = [one.name or "?" for one in told if _apart(one.false_alarms, Share(yes, of))]
    if not apart:
        zh = (
            "各区误报率的区间都包含全市平均：看不出差异，但也不能证明没有差异。"
            "只统计已有结果的案件，结果由民警录入。"
        )
        en = (
            "Every district's interval holds the city's share: no difference shows, which does not "
            "prove that there is none. Only cases with an outcome count, as officers entered it."
        )
        return zh, en
    zh = (
        f"{'、'.join(apart)}的误报率区间不含全市平均。每二十个区中约有一个仅因偶然如此；"
        "居民构成、报案意愿和录入习惯也会造成差异。请先查阅案件，不能据此认定对某区不公。"
    )
    en = (
        f"{', '.join(apart)}: the interval does not hold the city's share. One district in twenty "
        "does so by chance alone, and residents, reporting and habits of entry differ: read the "
        "cases first; this alone does not show that a district is treated unfairly."
    )
    return zh, en


def _apart(one: Share, whole: Share) -> bool:
    low, high = one.interval
    return not low <= (whole.value or 0.0) <= high


def _days(request: Request) -> int:
    """The period that was chosen.

    Raises
    ------
    Problem
        If it is none of those that can be.
    """
    given = request.query_params.get("days", str(PERIODS[0]))
    if given not in {str(days) for days in PERIODS}:
        raise Problem("invalid-parameter", f"expected days among {PERIODS}, found another number")
    return int(given)


def _residents(request: Request) -> Mapping[str, float]:
    """How many live in each district, where the city's file of districts says so."""
    maps = getattr(request.app.state, "maps", None)
    if maps is None or maps.districts is None:
        return {}
    pairs = zip(maps.districts.names, maps.districts.residents.tolist(), strict=True)
    return {name: count for name, count in pairs if isfinite(count) and count > 0}
