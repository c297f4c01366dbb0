"""Honest affairs that look like fraud: the hard part of the city (frequencies assumed)."""

from collections.abc import Mapping
from dataclasses import dataclass

from data.simulator.frauds import BANK, LENDER, TOOL
from data.simulator.identifiers import Space
from data.simulator.scripts import Role, Script, Step

__all__ = ["LOOKALIKES", "Lookalike"]

AGENT = Role(
    {Space.MOBILE: (0.72, 0.72), Space.LANDLINE: (0.18, 0.18), Space.HOTLINE: (0.10, 0.10)},
    life_days=12, lanes=2, age_days=240, roaming=0.08,
)  # fmt: skip
PERSON = Role({Space.MOBILE: (0.94, 0.94), Space.FOREIGN: (0.06, 0.06)}, personal=True,
              age_days=800, roaming=0.07)  # fmt: skip
OFFICE = Role({Space.LANDLINE: (0.85, 0.85), Space.MOBILE: (0.15, 0.15)}, lanes=3, age_days=3000)
DESK = Role({Space.HOTLINE: (0.4, 0.4), Space.MOBILE: (0.4, 0.4), Space.FOREIGN: (0.2, 0.2)},
            life_days=20, lanes=3, age_days=300, roaming=0.06)  # fmt: skip
BULK = Role({Space.PORT: (0.65, 0.6), Space.MOBILE: (0.32, 0.38), Space.FOREIGN: (0.03, 0.02)},
            life_days=15, lanes=2)  # fmt: skip
PAYEE = Role({Space.CARD: (0.7, 0.62), Space.MOBILE: (0.2, 0.24), Space.MERCHANT: (0.1, 0.14)},
             personal=True)  # fmt: skip
FIRM = Role({Space.CARD: (0.68, 0.62), Space.MOBILE: (0.14, 0.16), Space.MERCHANT: (0.18, 0.22)},
            life_days=10, lanes=2, rings=0.1)  # fmt: skip
PAGE = Role({Space.SITE: (1, 1)}, life_days=40, lanes=2, listed=(0.02, 0.02))
KIT = Role({Space.APP: (1, 1)}, life_days=60, lanes=1, listed=(0.02, 0.02))
TIE = Role({}, tie=True)

CAST: Mapping[str, Role] = {
    "agent": AGENT, "person": PERSON, "office": OFFICE, "desk": DESK, "bulk": BULK,
    "payee": PAYEE, "firm": FIRM, "page": PAGE, "kit": KIT, "tie": TIE, "tool": TOOL,
    "bank": BANK, "lender": LENDER,
}  # fmt: skip


@dataclass(frozen=True)
class Lookalike:
    """An honest script, how often it happens, and how many firms or gangs of friends run it."""

    script: Script
    per_1000_in_60_days: float
    subscribers_per_group: int


def _script(name: str, steps: tuple[Step, ...], reach: float = 0.0, profile: str = "office",
            ages: tuple[float, ...] = (0.3, 1.2, 1.3, 1.0, 0.8, 0.5)) -> Script:  # fmt: skip
    return Script(name, CAST, steps, reach, profile, ages, frozenset(CAST))


LOOKALIKES: tuple[Lookalike, ...] = (
    Lookalike(
        _script("bank loan", (
            Step("call_in", "agent", size=(380, 380)),
            Step("link", "bulk", 1, chance=(0.6, 0.6)),
            Step("install", "lender", 2, chance=(0.6, 0.6)),
            Step("call_in", "agent", 8, 10, (0, 2), size=(420, 420)),
            Step("code", "bank", 3, 1, (1, 3)),
            Step("call_out", "agent", 6, 10, (0, 2), size=(200, 200)),
            Step("pay", "firm", 12, 24, (1, 2), (0.75, 0.75), (3500, 3500), 1.0),
            Step("pay", "payee", 8, 10, (0, 2), (0.4, 0.4), (9000, 9000), 1.0),
        ), reach=6),
        34, 1500,
    ),
    Lookalike(
        _script("home", (
            Step("call_in", "agent", 1, 20, (2, 4), size=(500, 500)),
            Step("call_out", "agent", 10, 24, (1, 3), size=(240, 240)),
            Step("pay", "firm", 20, 30, (1, 2), size=(12000, 12000), spread=1.0),
            Step("call_in", "agent", 20, 24, (0, 2), size=(300, 300)),
            Step("pay", "payee", 30, 48, (1, 3), size=(50000, 50000), spread=1.1),
        ), reach=3),
        9, 1000,
    ),
    Lookalike(
        _script("family", (
            Step("call_in", "tie", size=(700, 700)),
            Step("pay", "tie", 1, 8, (1, 2), size=(6000, 6000), spread=1.1),
        ), profile="social", ages=(0.2, 0.8, 1.1, 1.2, 1.2, 1.0)),
        40, 1000,
    ),
    Lookalike(
        _script("new phone", (
            Step("call_in", "person", size=(160, 160)),
            Step("sms_in", "person", 1, 1, (0, 2)),
            Step("call_out", "person", 5, 8, (0, 2), size=(200, 200)),
            Step("pay", "payee", 2, 5, (1, 2), size=(7000, 7000), spread=1.1),
        ), profile="social"),
        26, 1000,
    ),
    Lookalike(
        _script("police", (
            Step("call_in", "office", size=(650, 650), spread=0.7),
            Step("call_out", "office", 5, 10, (0, 2), size=(200, 200)),
            Step("call_in", "office", 20, 20, (0, 2), size=(400, 400)),
            Step("pay", "payee", 20, 10, chance=(0.25, 0.25), size=(5000, 5000), spread=1.1),
        ), reach=1, ages=(0.2, 1.0, 1.1, 1.1, 1.1, 0.8)),
        24, 800,
    ),
    Lookalike(
        _script("bank help", (
            Step("call_out", "bank", size=(500, 500)),
            Step("call_in", "desk", 0.3, chance=(0.5, 0.5), size=(700, 700)),
            Step("install", "tool", 0.2, chance=(0.3, 0.3)),
            Step("screen_share", "tool", 0.2, chance=(0.6, 0.6), size=(1200, 1200)),
            Step("remote_control", "tool", 0.2, chance=(0.25, 0.25), size=(1200, 1200)),
            Step("code", "bank", 0.1, 0.2, (0, 2)),
            Step("pay", "payee", 0.5, 1, (0, 2), (0.6, 0.6), (5000, 5000), 1.1),
        )),
        16, 900,
    ),
    Lookalike(
        _script("refund", (
            Step("call_in", "desk", size=(330, 330)),
            Step("link", "bulk", 0.2, chance=(0.4, 0.4)),
            Step("visit", "page", 0.2, chance=(0.5, 0.5)),
            Step("code", "bank", 0.2, chance=(0.4, 0.4)),
            Step("screen_share", "tool", 0.2, chance=(0.12, 0.12), size=(700, 700)),
            Step("call_out", "desk", 3, chance=(0.4, 0.4), size=(120, 120)),
            Step("pay", "firm", 6, 4, (0, 1), (0.35, 0.35), (900, 900), 1.0),
        ), reach=2),
        40, 900,
    ),
    Lookalike(
        _script("second hand", (
            Step("visit", "page", times=(1, 3)),
            Step("sms_in", "person", 1, 3, (0, 2)),
            Step("call_out", "person", 2, 4, (0, 2), size=(110, 110)),
            Step("pay", "payee", 2, 8, (1, 2), size=(1100, 1100), spread=1.0),
        ), profile="online", ages=(0.6, 1.6, 1.4, 0.8, 0.5, 0.2)),
        75, 500,
    ),
    Lookalike(
        _script("shop by chat", (
            Step("link", "bulk", chance=(0.5, 0.5)),
            Step("visit", "page", 2, 3, (1, 2)),
            Step("pay", "firm", 2, 20, (1, 4), size=(420, 420), spread=1.0),
        ), reach=4, profile="online", ages=(0.6, 1.4, 1.4, 1.0, 0.7, 0.3)),
        75, 400,
    ),
    Lookalike(
        _script("game", (
            Step("visit", "page", times=(1, 2)),
            Step("pay", "firm", 0.6, 0.5, (1, 4), size=(350, 350), spread=1.0, growth=1.2),
            Step("sms_in", "person", 1, chance=(0.3, 0.3)),
        ), profile="online", ages=(4.0, 2.2, 0.7, 0.2, 0.05, 0.02)),
        26, 700,
    ),
    Lookalike(
        _script("courtship", (
            Step("sms_in", "person", times=(1, 3), every_h=12),
            Step("call_in", "person", 24, 20, (2, 4), size=(700, 700)),
            Step("call_out", "person", 20, 20, (1, 4), size=(600, 600)),
            Step("pay", "payee", 30, 60, (1, 3), size=(700, 700), spread=0.9, growth=1.3),
            Step("call_in", "person", 24, 20, (1, 3), size=(600, 600)),
        ), profile="social", ages=(0.4, 2.0, 1.6, 0.6, 0.3, 0.1)),
        14, 500,
    ),
    Lookalike(
        _script("broker", (
            Step("call_in", "agent", chance=(0.6, 0.6), size=(260, 260)),
            Step("link", "bulk", 10, 20, (0, 2)),
            Step("visit", "page", 10, 20, (1, 4)),
            Step("install", "kit", 10, chance=(0.8, 0.8)),
            Step("pay", "firm", 24, 48, (1, 4), size=(9000, 9000), spread=1.0, growth=1.2),
            Step("visit", "page", 12, 24, (1, 3)),
        ), reach=4, ages=(0.05, 0.6, 1.3, 1.5, 1.2, 0.5)),
        20, 1500,
    ),
    Lookalike(
        _script("side job", (
            Step("link", "bulk"),
            Step("call_in", "agent", 5, chance=(0.5, 0.5), size=(180, 180)),
            Step("install", "kit", 2, chance=(0.7, 0.7)),
            Step("pay", "firm", 8, 12, (1, 3), size=(220, 220), spread=0.9, growth=1.2),
        ), reach=6, profile="online", ages=(0.4, 1.8, 1.5, 0.8, 0.4, 0.1)),
        18, 1200,
    ),
    Lookalike(
        _script("supplier", (
            Step("call_in", "agent", size=(150, 150)),
            Step("call_out", "agent", 5, 8, (0, 2), size=(120, 120)),
            Step("pay", "firm", 2, 4, (1, 3), size=(13000, 13000), spread=1.0),
        ), ages=(0.0, 0.4, 1.1, 1.6, 1.3, 0.2)),
        26, 500,
    ),
    Lookalike(
        _script("hospital", (
            Step("call_in", "office", size=(200, 200)),
            Step("code", "bulk", 1, chance=(0.5, 0.5)),
            Step("call_in", "tie", 2, chance=(0.6, 0.6), size=(400, 400)),
            Step("pay", "firm", 2, 6, (1, 3), size=(3500, 3500), spread=1.0),
        ), ages=(0.3, 0.6, 0.9, 1.1, 1.3, 1.5)),
        28, 1500,
    ),
    Lookalike(
        _script("tuition", (
            Step("call_in", "office", chance=(0.6, 0.6), size=(240, 240)),
            Step("sms_in", "bulk", 4),
            Step("visit", "page", 1, chance=(0.5, 0.5)),
            Step("code", "bank", 0.1, chance=(0.5, 0.5)),
            Step("pay", "firm", 0.3, 6, (1, 2), size=(2600, 2600), spread=0.8),
        ), reach=3, ages=(0.6, 0.8, 1.5, 1.4, 0.6, 0.2)),
        36, 1200,
    ),
)  # fmt: skip
