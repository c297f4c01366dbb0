"""What is new in a case since an officer last looked: a mark of what he saw, and sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field

from sqlalchemy import text

from serving.cases.case import Case
from serving.cases.forms import Turn
from serving.console.timeline import Entry
from serving.console.words import Words
from serving.problems import Problem

__all__ = ["Mark", "News", "mark_of", "news"]

Both = tuple[str, str]
MOST = 4  # sentences; the rest is counted
_COUNTS = ("version", "evidence", "attempts", "outcomes", "reversals", "notes", "measures")
_LONGEST = 160

_MARK = text(
    """
    SELECT c.district, c.version,
        (SELECT count(*) FROM case_evidence e WHERE e.case_id = c.case_id) AS evidence,
        (SELECT count(*) FROM attempts a WHERE a.case_id = c.case_id) AS attempts,
        (SELECT count(*) FROM outcomes o WHERE o.case_id = c.case_id) AS outcomes,
        (SELECT count(o.reversed_at) FROM outcomes o WHERE o.case_id = c.case_id) AS reversals,
        (SELECT count(*) FROM case_notes n WHERE n.case_id = c.case_id) AS notes,
        (SELECT coalesce(sum(r.version), 0) FROM requests r WHERE r.case_id = c.case_id)
        + (SELECT coalesce(sum(p.version), 0) FROM appeals p WHERE p.case_id = c.case_id)
            AS measures,
        c.level
    FROM cases c WHERE c.case_id = :case_id
    """
)


@dataclass(frozen=True)
class Mark:
    """How far a case had come when it was shown: equal marks show the same page.

    Parameters
    ----------
    version : int
        Of the case; evidence that changes nothing a form could overlook leaves it.
    evidence, attempts, outcomes, reversals, notes : int
        How many there were.
    measures : int
        Versions of its requests and appeals, added up: each change of one adds one.
    level : str

    Examples
    --------
    >>> Mark(3, 2, 1, 0, 0, 0, 0, "red").code
    '3-2-1-0-0-0-0-red'
    >>> Mark.read("3-2-1-0-0-0-0-red") == Mark(3, 2, 1, 0, 0, 0, 0, "red")
    True
    >>> Mark.read("whatever was sent") is None
    True
    """

    version: int
    evidence: int
    attempts: int
    outcomes: int
    reversals: int
    notes: int
    measures: int
    level: str

    @property
    def code(self) -> str:
        """For an address, or the id of a piece of news."""
        return "-".join(map(str, astuple(self)))

    @classmethod
    def read(cls, code: str) -> "Mark | None":
        """Read `code` back; None for anything else."""
        *numbers, level = code[:_LONGEST].split("-", len(_COUNTS))
        if len(numbers) != len(_COUNTS) or not all(map(_is_count, numbers)):
            return None
        return cls(**dict(zip(_COUNTS, map(int, numbers), strict=True)), level=level)


def _is_count(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal() and len(digits) <= 9


@dataclass(frozen=True)
class News:
    """What an officer is told when a page he looks at changes.

    Parameters
    ----------
    lines : tuple of (zh, en)
        The most important first.
    fresh : tuple of Entry
        What is new in the timeline.
    """

    lines: tuple[Both, ...] = ()
    fresh: tuple[Entry, ...] = field(default=(), repr=False)


async def mark_of(turn: Turn, case_id: str) -> Mark:
    """How far a case has come.

    Raises
    ------
    Problem
        ``not-found``, also for a case of a district that is not the actor's.
    """
    row = (await turn.connection.execute(_MARK, {"case_id": case_id})).one_or_none()
    if row is None or not turn.actor.sees(row.district):
        raise Problem("not-found", "no case with this id among those you see")
    counts = {name: int(getattr(row, name)) for name in _COUNTS}
    return Mark(**counts, level=row.level)


def news(then: Mark | None, now: Mark, timeline: Sequence[Entry], case: Case, words: Words) -> News:
    """What happened between two looks at a case.

    Parameters
    ----------
    then : Mark or None
        None: he has not looked before.
    timeline : sequence of Entry
        Of the case now, the newest first.
    """
    if then is None or then == now:
        return News()
    fresh = _fresh(then, now, timeline)
    told = [_told(one, words) for one in fresh]
    lines = [*_level(then, now, words), *told[:MOST]]
    if len(told) > MOST:
        lines.append((f"另有{len(told) - MOST}项", f"{len(told) - MOST} more"))
    if then.measures != now.measures:
        lines.append(("措施或申诉有变化", "a request or an appeal changed"))
    if not lines:
        lines.append(_held(case, words))
    return News(tuple(lines), tuple(fresh))


def _fresh(then: Mark, now: Mark, timeline: Sequence[Entry]) -> list[Entry]:
    left = Counter(
        evidence=now.evidence - then.evidence,
        attempt=now.attempts - then.attempts,
        outcome=now.outcomes - then.outcomes,
        reversal=now.reversals - then.reversals,
        note=now.notes - then.notes,
    )
    found = []
    for one in timeline:
        if left[one.kind] > 0:
            left[one.kind] -= 1
            found.append(one)
    return found


def _level(then: Mark, now: Mark, words: Words) -> Iterator[Both]:
    if then.level != now.level:
        zh, en = words.level(now.level)
        yield f"等级变为{zh}", f"the level is now {en}"


_KINDS = {
    "evidence": ("新证据", "new evidence"),
    "attempt": ("劝阻", "an attempt"),
    "outcome": ("结案", "closed"),
    "reversal": ("撤销结果", "outcome taken back"),
    "note": ("备注", "a note"),
}


def _told(one: Entry, words: Words) -> Both:
    """What came, when, from whom; an attempt and an outcome with how they went."""
    clock, (zh, en) = words.clock(one.at), _KINDS[one.kind]
    if one.kind in {"attempt", "outcome"}:
        return f"{clock} {one.by}：{one.zh}", f"{one.by} at {clock}: {one.en}"
    by_zh, by_en = (f"（{one.by}）", f" ({one.by})") if one.by else ("", "")
    return f"{clock} {zh}{by_zh}", f"{en} at {clock}{by_en}"


def _held(case: Case, words: Words) -> Both:
    """Nothing happened but who has it, or how long it rests."""
    at, holder = words.clock(case.changed_at), words.held_by(case)
    if holder:
        return f"{at} {holder}开始处理此案", f"{holder} took the case at {at}"
    if case.assignee:
        return f"{at} 案件有变动，现由{case.assignee}负责", (
            f"the case changed at {at}; it is given to {case.assignee}"
        )
    return f"{at} 案件有变动", f"the case changed at {at}"
