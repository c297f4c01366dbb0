"""Who may do what: one table of roles and actions, and the person or system that acts.

A role is what somebody is here for; an action is one kind of deed. Nothing is allowed that the
table does not say. Where two pairs of eyes are wanted, the deeds lie with different roles: who
requests a measure does not sign it, who trains a model does not publish it, who manages accounts
sees no case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from serving.problems import Problem

__all__ = ["MAY", "ROLES", "Action", "Actor", "Role", "demand", "demand_sight"]


class Role(StrEnum):
    """What somebody is here for."""

    SYSTEM = "system"
    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    DATA_SCIENTIST = "data_scientist"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


ROLES: Mapping[Role, tuple[str, str]] = {
    Role.SYSTEM: ("对接系统", "centre system"),
    Role.OFFICER: ("民警", "officer"),
    Role.SUPERVISOR: ("值班负责人", "supervisor"),
    Role.DATA_SCIENTIST: ("数据分析师", "data scientist"),
    Role.APPROVER: ("审批人", "approver"),
    Role.AUDITOR: ("审计员", "auditor"),
    Role.ADMINISTRATOR: ("系统管理员", "administrator"),
}
"""What each role is called on screen."""


class Action(StrEnum):
    """One kind of deed."""

    SCORE = "score"
    TAKE_IN = "take_in"
    READ_DECISION = "read_decision"
    READ_MODEL = "read_model"
    READ_METRICS = "read_metrics"
    READ_MAP = "read_map"
    PLAN_PATROL = "plan_patrol"
    RECORD_DOSE = "record_dose"
    READ_CASE = "read_case"
    WORK_CASE = "work_case"
    ASSIGN_CASE = "assign_case"
    REVEAL_PSEUDONYM = "reveal_pseudonym"
    REQUEST_MEASURE = "request_measure"
    SIGN_MEASURE = "sign_measure"
    ANSWER_MEASURE = "answer_measure"
    FILE_APPEAL = "file_appeal"
    DECIDE_APPEAL = "decide_appeal"
    MANAGE_RULES = "manage_rules"
    READ_OVERVIEW = "read_overview"
    READ_AUDIT = "read_audit"
    MANAGE_ACCOUNTS = "manage_accounts"
    PUBLISH_MODEL = "publish_model"


_OFFICER = frozenset(
    {
        Action.READ_DECISION,
        Action.READ_MODEL,
        Action.READ_MAP,
        Action.RECORD_DOSE,
        Action.READ_CASE,
        Action.WORK_CASE,
        Action.REVEAL_PSEUDONYM,
        Action.REQUEST_MEASURE,
        Action.FILE_APPEAL,
    }
)

MAY: Mapping[Role, frozenset[Action]] = {
    # the most that any API key may be given; each key has its own part of it
    Role.SYSTEM: frozenset(
        {
            Action.SCORE,
            Action.TAKE_IN,
            Action.READ_DECISION,
            Action.READ_MODEL,
            Action.READ_METRICS,
            Action.READ_MAP,
            Action.PLAN_PATROL,
            Action.RECORD_DOSE,
            Action.ANSWER_MEASURE,
            Action.FILE_APPEAL,
        }
    ),
    Role.OFFICER: _OFFICER,
    Role.SUPERVISOR: _OFFICER
    | {
        Action.PLAN_PATROL,
        Action.ASSIGN_CASE,
        Action.DECIDE_APPEAL,
        Action.MANAGE_RULES,
        Action.READ_OVERVIEW,
    },
    Role.DATA_SCIENTIST: frozenset(
        {
            Action.READ_DECISION,
            Action.READ_MODEL,
            Action.READ_METRICS,
            Action.READ_MAP,
            Action.PLAN_PATROL,
            Action.MANAGE_RULES,
            Action.READ_OVERVIEW,
        }
    ),
    Role.APPROVER: frozenset(
        {
            Action.READ_DECISION,
            Action.READ_MODEL,
            Action.READ_CASE,
            Action.SIGN_MEASURE,
            Action.READ_OVERVIEW,
            Action.PUBLISH_MODEL,
        }
    ),
    Role.AUDITOR: frozenset({Action.READ_AUDIT, Action.READ_DECISION, Action.READ_MODEL}),
    Role.ADMINISTRATOR: frozenset({Action.MANAGE_ACCOUNTS, Action.READ_METRICS}),
}
"""The table."""


@dataclass(frozen=True)
class Actor:
    """Whoever acts: an officer who signed in, or a system with its key.

    Parameters
    ----------
    name : str
        Of the account, or ``key:`` and the id of the key.
    role : Role
    district : str, optional
        The only one he sees; None: the whole city.
    ref : str, optional
        Of the session or key he came with: a short digest, never a secret.
    scopes : frozenset of Action, optional
        What of his role's actions he was given; None: all.
    must_change : bool
        He has a password that somebody else knows: he may do nothing but choose his own.

    Examples
    --------
    >>> Actor("li.wei", Role.OFFICER, "Yubei").may(Action.WORK_CASE)
    True
    >>> Actor("li.wei", Role.OFFICER, "Yubei").sees("Banan")
    False
    """

    name: str
    role: Role
    district: str | None = None
    ref: str | None = None
    scopes: frozenset[Action] | None = None
    must_change: bool = False

    def may(self, action: Action) -> bool:
        """Whether the table, his scopes and his password allow it."""
        given = self.scopes is None or action in self.scopes
        return given and not self.must_change and action in MAY[self.role]

    def sees(self, district: str | None) -> bool:
        """Whether what lies in that district is his to see; None: nobody knows where it lies.

        What has no known district is for those who see the whole city.
        """
        return self.district is None or self.district == district


def demand(actor: Actor, action: Action) -> None:
    """Let an actor do it, or refuse.

    Raises
    ------
    Problem
        ``forbidden``; ``password-to-change``.
    """
    if actor.must_change:
        raise Problem(
            "password-to-change", "expected a password of your own, found one that was given out"
        )
    if not actor.may(action):
        names = ", ".join(ROLES[role][1] for role in Role if action in MAY[role])
        narrow = " whose key has not this scope" if actor.scopes is not None else ""
        raise Problem(
            "forbidden",
            f"expected one who may {action} ({names}), found the role {actor.role}{narrow}",
        )


def demand_sight(actor: Actor, district: str | None) -> None:
    """Let an actor look at what lies in a district (None: nobody knows where), or refuse.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    if not actor.sees(district):
        raise Problem("forbidden", "expected one who sees its district, found one of another")
