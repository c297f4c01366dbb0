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
from serving.access.roles import Action
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
from serving.rules.shown import entries_to_sign

__all__ = ["COMPARED", "METHODS", "Comparison", "Names", "fairness", "overview_page"]

PAGE = "overview.html"
SHOWN = 50  # late cases on the page; the counts are of all

METHODS: Mapping[str, tuple[str, str]] = {
    "typical-loss-x-would-have-left-1": (
        "同类案件的平均损失×本应转出的概率（估计，非实测）",
        "mean loss of such cases x probability that it would have left (estimated, not measured)",
    ),
}
"""What each method of estimating the loss avoided is, in words."""


COMPARED: Mapping[str, tuple[str, str]] = {
    "false_alarms": ("误报率", "False alarms"),
    "reached": ("联系上的比例", "Reached"),
    "believed": ("听劝的比例", "Believed"),
}
"""Shares of a `Place` that are compared between districts, in words."""


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
    residents, districts = _residents(request), Comparison.of(shown.places)
    told |= {
        "periods": PERIODS,
        "names": Names.of(room),
        "clock": room.config.clock,
        "receiver": partial(receiver_name, request.app.state.office),
        "here": lambda at: at.astimezone(ZoneInfo(room.config.zone)),
        "how_late": partial(how_late, room=room),
        "residents": residents,
        "districts": districts,
        "compared": COMPARED,
        "fair": fairness(districts),
        "done": request.query_params.get("done", ""),
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
        "to_list": await _to_list(turn),
        "late": await overdue(turn, SHOWN),
        "late_by_tier": await overdue_by_tier(turn),
    }


async def _to_list(turn: Turn) -> int:
    """List entries that wait for the actor, if he is one who may put them live."""
    if turn.actor.district is not None or not turn.actor.may(Action.MANAGE_RULES):
        return 0
    return await entries_to_sign(turn.connection, turn.actor.name, turn.now)


@dataclass(frozen=True)
class Cell:
    """One share of one district, beside that of all districts together.

    Parameters
    ----------
    share : Share or None
        None: it rests on too few cases to show.
    whole : Share
        Of all whose share is shown.
    """

    share: Share | None
    whole: Share

    @property
    def apart(self) -> int:
        """1 where the interval lies above the share of all, -1 below, 0 where it holds it."""
        if self.share is None or self.whole.value is None:
            return 0
        low, high = self.share.interval
        return int(low > self.whole.value) - int(high < self.whole.value)


@dataclass(frozen=True)
class Comparison:
    """Districts side by side.

    Parameters
    ----------
    whole : tuple of Share
        Of all districts that are shown, a share each of `COMPARED`.
    rows : tuple of (Place, tuple of Cell)
    """

    whole: tuple[Share, ...]
    rows: tuple[tuple[Place, tuple[Cell, ...]], ...]

    @classmethod
    def of(cls, places: tuple[Place, ...]) -> "Comparison":
        """Compare districts; who is hidden does not enter the sums, or could be told from them."""
        shares = [tuple(place.shown(what) for what in COMPARED) for place in places]
        whole = tuple(_sum(column) for column in zip(*shares, strict=True)) if shares else ()
        cells = (tuple(Cell(*pair) for pair in zip(found, whole, strict=True)) for found in shares)
        return cls(whole, tuple(zip(places, cells, strict=True)))

    @property
    def compared(self) -> int:
        """Shares that can be compared with another district's."""
        columns = zip(*(cells for _, cells in self.rows), strict=True)
        counts = [sum(cell.share is not None for cell in column) for column in columns]
        return sum(count for count in counts if count > 1)

    def apart(self, what: str) -> list[Place]:
        """Districts whose interval does not hold the share of all."""
        at = list(COMPARED).index(what)
        return [place for place, cells in self.rows if cells[at].apart]


def _sum(shares: tuple[Share | None, ...]) -> Share:
    found = Share(0, 0)
    for share in shares:
        found = found.plus(share) if share else found
    return found


def fairness(found: Comparison) -> tuple[str, str]:
    """How little can be concluded, in a sentence (zh, en).

    Examples
    --------
    >>> fairness(Comparison.of(()))[1]
    'Too few cases to compare districts: nothing can be concluded.'
    >>> places = (Place("A", 200, Share(10, 100)), Place("B", 200, Share(60, 100)))
    >>> fairness(Comparison.of(places))[0][:15]
    '误报率：A、B。所列各区的区间'
    """
    if not found.compared:
        zh = "案件太少，无法比较各区：不能得出任何结论。"
        return zh, "Too few cases to compare districts: nothing can be concluded."
    apart = {what: found.apart(what) for what in COMPARED}
    if not any(apart.values()):
        zh = (
            "各区的区间都包含各区合计的比例：看不出差异，但也不能证明没有差异。"
            "误报率只统计已有结果的案件，结果由民警录入。"
        )
        en = (
            "Every district's interval holds the share of all: no difference shows, which does not "
            "prove that there is none. Of false alarms only cases with an outcome count, as "
            "officers entered it."
        )
        return zh, en
    chance = max(1, round(0.05 * found.compared))
    zh = (
        f"{_listed(apart, 0)}。所列各区的区间不含各区合计的比例。共比较{found.compared}项，"
        f"仅因偶然就约有{chance}项如此；"
        "居民构成、报案意愿和录入习惯也会造成差异。请先查阅案件，不能据此认定对某区不公。"
    )
    en = (
        f"{_listed(apart, 1)}. There the interval does not hold the share of all. Of the "
        f"{found.compared} shares compared about {chance} would do so by chance alone, and "
        "residents, reporting and habits of entry differ: read the cases first; this alone does "
        "not show that a district is treated unfairly."
    )
    return zh, en


def _listed(apart: Mapping[str, list[Place]], tongue: int) -> str:
    """Which districts stand apart in what, in one tongue."""
    colon, comma, stop = (("：", "、", "；"), (": ", ", ", "; "))[tongue]
    unknown = ("辖区不明", "district not known")[tongue]
    return stop.join(
        COMPARED[what][tongue] + colon + comma.join(one.name or unknown for one in places)
        for what, places in apart.items()
        if places
    )


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
