"""One citizen, one case: how evidence meets the case there is. Pure; the database comes after.

An open case takes all evidence about its citizen: its level and its stage only rise. A closed case
still takes what belongs to its episode, and is opened again by

- evidence of a higher level than the case ever had: officers judged something smaller;
- evidence of what happened after the outcome: whoever was dissuaded is in danger again, and who
  could not be reached calls for another try. What happened before was part of what they judged;
- after a false alarm, evidence of the same level only if another platform brings it that had not
  spoken before. Our own model would repeat its error with every event, and the officers would be
  called back for each; an independent word is news.

Beyond the episode a new case is opened.
"""

from dataclasses import dataclass, replace

from serving.cases.case import Case, State
from serving.cases.config import CaseConfig
from serving.cases.evidence import Admitted, Effect
from serving.cases.ids import new_id
from serving.cases.routing import first_tier

__all__ = ["Episode", "meet"]

STAGES = ("contact", "engaged", "paying")


@dataclass(frozen=True)
class Episode:
    """A citizen's last case, and what is needed to tell whether it opens again.

    Parameters
    ----------
    case : Case
    false_alarm : bool
        Its last outcome, not reversed, says so.
    platforms : frozenset of str
        That have spoken in it.
    """

    case: Case
    false_alarm: bool = False
    platforms: frozenset[str] = frozenset()


def meet(last: Episode | None, found: Admitted, config: CaseConfig) -> tuple[Case, Effect]:
    """The case after evidence, and what the evidence did to it."""
    if last is None:
        return _opened(found, config), Effect.OPENED
    case = last.case
    if not case.closed:
        return _added(case, found, config)
    if found.known_at > case.episode_ends_at:
        return _opened(found, config), Effect.OPENED
    if _opens_again(last, found):
        return _reopened(case, found, config), Effect.REOPENED
    return case, Effect.KEPT


def _opens_again(last: Episode, found: Admitted) -> bool:
    case = last.case
    if found.urgency < case.urgency:
        return True
    after = case.closed_at is not None and found.occurred_at > case.closed_at
    return after and not (last.false_alarm and found.platform in last.platforms)


def _opened(found: Admitted, config: CaseConfig) -> Case:
    tier = first_tier(found.level, found.district, config)
    return Case(
        case_id=new_id(found.known_at),
        subscriber=found.subscriber,
        state=State.OPEN,
        opened_at=found.known_at,
        episode_ends_at=found.known_at + config.episode_gap,
        level=found.level,
        urgency=found.urgency,
        score=found.score,
        stage=found.stage,
        stage_at=found.known_at,
        scam_type=found.scam_type,
        expected_loss_cny=max(config.loss_of(found.scam_type), found.amount_cny),
        deadline_at=found.known_at + found.deadline,
        district=found.district,
        start_tier=tier,
        tier=tier,
        changed_at=found.known_at,
    )


def _added(case: Case, found: Admitted, config: CaseConfig) -> tuple[Case, Effect]:
    grown = _grown(case, found, config)
    rises = (grown.urgency, grown.stage) != (case.urgency, case.stage)
    relapses = case.met_at is not None and found.occurred_at > case.met_at
    due = found.known_at + found.deadline
    if relapses:
        grown = replace(grown, stage_at=found.known_at)
    if rises or relapses:
        # who sleeps on it, or was believed by the citizen, did so knowing less
        awake = State.OPEN if case.state == State.SNOOZED else case.state
        grown = replace(grown, state=awake, snoozed_until=None, snooze_reason=None, met_at=None)
        grown = replace(grown, deadline_at=due if case.met_at else min(case.deadline_at, due))
        grown = _routed(grown, config)
        return _changed(grown, found), Effect.RAISED
    if case.met_at is None and due < case.deadline_at:
        return _changed(replace(grown, deadline_at=due), found), Effect.ADDED
    # nothing a form could overlook: the version stays, so that a busy line does not block its case
    return grown, Effect.ADDED


def _reopened(case: Case, found: Admitted, config: CaseConfig) -> Case:
    grown = replace(
        _grown(case, found, config),
        state=State.OPEN,
        closed_at=None,
        met_at=None,
        locked_by=None,
        locked_until=None,
        stage_at=found.known_at,
        deadline_at=found.known_at + found.deadline,
    )
    return _changed(_routed(grown, config), found)


def _grown(case: Case, found: Admitted, config: CaseConfig) -> Case:
    """Level, score, stage, loss and episode: none of them ever falls."""
    rises = found.urgency < case.urgency
    further = STAGES.index(found.stage) > STAGES.index(case.stage)
    surer = found.scam_type != "other" and (found.score >= case.score or case.scam_type == "other")
    scam_type = found.scam_type if surer else case.scam_type
    return replace(
        case,
        level=found.level if rises else case.level,
        urgency=min(found.urgency, case.urgency),
        score=max(found.score, case.score),
        stage=found.stage if further else case.stage,
        stage_at=found.known_at if further else case.stage_at,
        scam_type=scam_type,
        expected_loss_cny=max(case.expected_loss_cny, config.loss_of(scam_type), found.amount_cny),
        episode_ends_at=max(case.episode_ends_at, found.known_at + config.episode_gap),
        district=case.district or found.district,
    )


def _routed(case: Case, config: CaseConfig) -> Case:
    tier = first_tier(case.level, case.district, config)
    return replace(case, start_tier=tier, tier=tier)


def _changed(case: Case, found: Admitted) -> Case:
    return replace(case, version=case.version + 1, changed_at=max(case.changed_at, found.known_at))
