"""Scripts: what one side does to, with or for a subscriber, step by step.

Fraud campaigns and the honest affairs that resemble them are written in the same language and
played by the same engine, so that nothing but the plot tells them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.simulator.city import DAY, HOUR, SECOND, TIES, Population
from data.simulator.identifiers import SHIFT, Space, code_of, hashed, outsider, unit
from data.simulator.payments import account_of, device_of, line_age, rounded, transfers
from data.simulator.rhythm import waking
from data.simulator.rows import ACTIONS, DIRECTIONS, SOURCES, Rows

__all__ = ["Cast", "Role", "Script", "Step", "play"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Trend = tuple[float, float]  # at the history's begin, at its end

Act = Literal[
    "call_in", "call_out", "sms_in", "sms_out", "link", "code",
    "visit", "install", "remote_control", "screen_share", "pay",
]  # fmt: skip
CALLS = ("call_in", "call_out")
MESSAGES = ("sms_in", "sms_out", "link", "code")


@dataclass(frozen=True)
class Role:
    """Who is at the other end, and how soon he is replaced.

    Parameters
    ----------
    spaces : mapping
        Share of each kind of identifier at the begin and at the end of the history.
    life_days : float
        Days until a number, account or site is burnt and another takes its place.
    lanes : int
        How many are in use at once by one group.
    age_days : float
        Median days a phone line was in service before it was used.
    personal : bool
        One per subscriber, shared with nobody.
    public : int
        If positive: one of so many that everybody uses (banks, meeting apps).
    rings : float
        Share taken from the pool that several groups share.
    listed : tuple of float
        Share of sites and apps that get on a list of known fraud, early and late.
    """

    spaces: Mapping[Space, Trend]
    life_days: float = 400.0
    lanes: int = 2
    age_days: float = 900.0
    personal: bool = False
    public: int = 0
    rings: float = 0.0
    listed: Trend = (0.0, 0.0)
    roaming: float = 0.04
    tie: bool = False


@dataclass(frozen=True)
class Step:
    """One act of a script, perhaps several times.

    Parameters
    ----------
    act : Act
        What happens.
    role : str
        With whom, a key of the script's roles.
    after_h, every_h : float
        Median hours since the step before, and between repetitions.
    times : tuple of int
        Fewest and most repetitions.
    chance : tuple of float
        Share of episodes that have the step, early and late in the history.
    size : tuple of float
        Median seconds of a call or session, or yuan of a payment; early and late.
    spread : float
        Standard deviation of its logarithm.
    growth : float
        Factor from one repetition to the next.
    """

    act: Act
    role: str
    after_h: float = 1.0
    every_h: float = 1.0
    times: tuple[int, int] = (1, 1)
    chance: Trend = (1.0, 1.0)
    size: Trend = (60.0, 60.0)
    spread: float = 0.8
    growth: float = 1.0


@dataclass(frozen=True)
class Script:
    """A plot and its cast; `reach` is how many are approached for each who goes along."""

    name: str
    roles: Mapping[str, Role]
    steps: Sequence[Step]
    reach: float = 0.0
    profile: str = "office"
    ages: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    honest: frozenset[str] = field(default_factory=frozenset)  # roles played by real firms


@dataclass(frozen=True)
class Cast:
    """Episodes of one script: who, since when, by which group, how far it goes.

    `depth` is 2 for the whole script, 1 for who wavers but never pays, 0 for who hangs up.
    """

    subscriber: Ints
    start: Ints
    group: Ints
    episode: Ints
    depth: Ints

    def __len__(self) -> int:
        return len(self.subscriber)


@dataclass(frozen=True)
class _Scene:
    """Rows of one step while they are made: episode positions, moments, repetitions."""

    at: Ints
    begin: Ints
    turn: Ints


def play(script: Script, cast: Cast, people: Population, rng: np.random.Generator) -> Rows:
    """Play a script for many subscribers at once; rows carry `episode` and `touch`."""
    city = people.city
    progress = np.clip((cast.start - city.start_us) / (city.days * DAY), 0.0, 1.0)
    cursor = cast.start.copy()
    rises = rng.uniform(6.5, 8.5, len(cast))
    parts: list[Rows] = []
    paid = False
    for number, step in enumerate(script.steps):
        paid = paid or step.act == "pay"
        goes = _goes(cast, number, paid, rng)
        goes &= rng.random(len(cast)) < _trend(step.chance, progress)
        scene = _scene(step, goes, cursor, rises, rng)
        rows = _Stage(script, cast, people, progress, rng).enact(step, scene)
        np.maximum.at(cursor, scene.at, rows["occurred"])
        parts.append(rows)
    return Rows.joined(parts)


def _goes(cast: Cast, number: int, paid: bool, rng: np.random.Generator) -> NDArray[np.bool_]:
    if number == 0:
        return np.ones(len(cast), dtype=bool)
    tries = (cast.depth == 1) & (rng.random(len(cast)) < 0.6) & (not paid)
    return np.asarray((cast.depth == 2) | tries, dtype=bool)


def _scene(
    step: Step,
    goes: NDArray[np.bool_],
    cursor: Ints,
    rises: Floats,
    rng: np.random.Generator,
) -> _Scene:
    low, high = step.times
    count = np.where(goes, rng.integers(low, high + 1, len(goes)), 0)
    at = np.repeat(np.arange(len(goes)), count)
    turn = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    median = np.where(turn == 0, step.after_h, step.every_h)
    gaps = median * np.exp(0.7 * rng.standard_normal(len(at)))
    total = np.cumsum(gaps)
    before = np.where(turn == 0, total - gaps, 0.0)
    since = total - np.maximum.accumulate(before)
    begin = cursor[at] + (since * HOUR).astype(np.int64)
    return _Scene(at, waking(begin, rises[at]), turn)


def _trend(pair: Trend, progress: Floats) -> Floats:
    return pair[0] + (pair[1] - pair[0]) * progress


@dataclass(frozen=True)
class _Stage:
    """Turns scenes into rows."""

    script: Script
    cast: Cast
    people: Population
    progress: Floats
    rng: np.random.Generator

    def enact(self, step: Step, scene: _Scene) -> Rows:
        role = self.script.roles[step.role]
        other, since = self._identity(step.role, role, scene)
        if step.act in CALLS:
            rows = self._call(step, role, scene, other, since)
        elif step.act in MESSAGES:
            rows = self._message(step, scene, other)
        elif step.act == "pay":
            rows = self._pay(step, scene, other)
        else:
            rows = self._app(step, role, scene, other, since)
        touch = np.full(len(rows), step.role not in self.script.honest, dtype=np.int8)
        return rows.replaced(episode=self.cast.episode[scene.at], touch=touch)

    def _identity(self, name: str, role: Role, scene: _Scene) -> tuple[Ints, Floats]:
        """Who plays the role in each row, and for how many days he has."""
        if role.tie:
            return self._tie(scene)
        life = int(role.life_days * DAY)
        start = self.cast.start[scene.at]
        asked = start + (scene.begin - start) // life * life
        if Space.CARD in role.spaces:
            asked = scene.begin
        key = self._key(name, role, scene, asked // life)
        since = (scene.begin - asked // life * life) / DAY
        return self._code(role, key, self.progress[scene.at]), since

    def _tie(self, scene: _Scene) -> tuple[Ints, Floats]:
        slot = (hashed(41, self.cast.episode[scene.at]) % np.uint64(TIES)).astype(np.int64)
        known = self.people.tie(self.cast.subscriber[scene.at], slot)
        return code_of(Space.MOBILE, known), np.zeros(len(known))

    def _key(self, name: str, role: Role, scene: _Scene, slot: Ints) -> Ints:
        salt = int.from_bytes(name.encode()[:6], "big")
        seed = self.people.city.seed
        episode = self.cast.episode[scene.at]
        if role.public:
            chosen = hashed(seed, 42, episode) % np.uint64(role.public)
            return (hashed(43, salt, chosen) >> np.uint64(1)).astype(np.int64)
        group = episode if role.personal else self.cast.group[scene.at]
        payee = Space.CARD in role.spaces and not role.personal
        luck = self.rng.integers(0, 1 << 30, len(episode)) if payee else hashed(44, episode)
        lane = luck.astype(np.uint64) % np.uint64(role.lanes)
        if role.rings:
            pooled = self.rng.random(len(episode)) < role.rings
            group = np.where(pooled, -1 - group % 7, group)
            salt_of = np.where(pooled, 0, salt)
            return (hashed(seed, salt_of, group, slot, lane) >> np.uint64(1)).astype(np.int64)
        return (hashed(seed, salt, group, slot, lane) >> np.uint64(1)).astype(np.int64)

    def _code(self, role: Role, key: Ints, progress: Floats) -> Ints:
        spaces = list(role.spaces)
        weights = np.stack([_trend(role.spaces[space], progress) for space in spaces])
        bounds = np.cumsum(weights / weights.sum(axis=0), axis=0)
        # the slot's luck, not the row's: a number never changes its kind
        choice = (unit(45, key) >= bounds).sum(axis=0).clip(max=len(spaces) - 1)
        space = np.array(spaces, dtype=np.int64)[choice]
        ids = np.where(space == Space.MOBILE, outsider(len(self.people), 46, key), key % 10**9)
        ids = np.where(space == Space.SERVICE, key % 8, ids)  # the banks among them
        return code_of(space, np.where(space == Space.CARD, ids * 4 + 2, ids))

    def _call(self, step: Step, role: Role, scene: _Scene, other: Ints, since: Floats) -> Rows:
        seconds = self._size(step, scene)
        brief = self.cast.depth[scene.at] == 0
        unanswered = brief & (self.rng.random(len(brief)) < 0.45)
        seconds[brief] = 12.0 * np.exp(self.rng.standard_normal(int(brief.sum())))
        seconds[unanswered] = 0
        duration = np.minimum(seconds, 3 * 3600).astype(np.int64)
        return Rows.of(
            "call",
            scene.begin + duration * SECOND,
            subscriber=self.cast.subscriber[scene.at],
            counterpart=other,
            direction=DIRECTIONS.index("incoming" if step.act == "call_in" else "outgoing"),
            duration=duration,
            roaming=self.rng.random(len(other)) < role.roaming,
            foreign=other >> SHIFT == Space.FOREIGN,
            age=line_age(other, since, role.age_days),
            source=SOURCES.index("operator"),
        )

    def _message(self, step: Step, scene: _Scene, other: Ints) -> Rows:
        return Rows.of(
            "sms",
            scene.begin,
            subscriber=self.cast.subscriber[scene.at],
            counterpart=other,
            direction=DIRECTIONS.index("outgoing" if step.act == "sms_out" else "incoming"),
            foreign=other >> SHIFT == Space.FOREIGN,
            link=step.act == "link",
            code=step.act == "code",
            source=SOURCES.index("operator"),
        )

    def _app(self, step: Step, role: Role, scene: _Scene, other: Ints, since: Floats) -> Rows:
        lasting = step.act in ("remote_control", "screen_share")
        seconds = self._size(step, scene).astype(np.int64) if lasting else 0
        share = _trend(role.listed, self.progress[scene.at])
        found = (unit(47, other) < share) & (since > 3.0 * unit(48, other))
        subscribers = self.cast.subscriber[scene.at]
        return Rows.of(
            "app",
            scene.begin + seconds * SECOND,
            subscriber=subscribers,
            counterpart=other,
            action=ACTIONS.index(step.act),
            device=device_of(subscribers, self.rng),
            duration=seconds,
            listed=found,
            source=SOURCES.index("network"),
        )

    def _pay(self, step: Step, scene: _Scene, other: Ints) -> Rows:
        subscribers = self.cast.subscriber[scene.at]
        yuan = self._size(step, scene) * self.people.wealth[subscribers] ** 0.6
        fen = rounded(yuan, self.rng)
        if self.script.roles[step.role].tie:
            other = account_of(other & ((1 << SHIFT) - 1), fen < 200_000)
        return transfers(scene.begin, subscribers, other, fen, self.rng)

    def _size(self, step: Step, scene: _Scene) -> Floats:
        median = _trend(step.size, self.progress[scene.at]) * step.growth**scene.turn
        noise = np.exp(step.spread * self.rng.standard_normal(len(scene.at)))
        return np.asarray(median * noise, dtype=np.float64)
