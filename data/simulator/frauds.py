"""The fraudsters' scripts: the ten official types and two others, as DOMAIN.md describes them.

Amounts are medians in yuan for a subscriber of median means, calls in seconds. The pairs are the
values at the begin and at the end of the history: scripts drift towards local numbers, shorter
calls, smaller and more payments.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from data.simulator.identifiers import Space
from data.simulator.scripts import Role, Script, Step

__all__ = ["FRAUDS", "Fraud"]

CALLER = Role(
    {
        Space.MOBILE: (0.55, 0.80),
        Space.FOREIGN: (0.25, 0.06),
        Space.LANDLINE: (0.12, 0.10),
        Space.HOTLINE: (0.08, 0.04),
    },
    life_days=2.0,
    lanes=2,
    age_days=160,
    roaming=0.10,
)
HANDLER = Role({Space.MOBILE: (0.9, 0.95), Space.FOREIGN: (0.1, 0.05)}, life_days=6, lanes=3,
               age_days=260, roaming=0.08)  # fmt: skip
SENDER = Role(
    {Space.PORT: (0.45, 0.35), Space.MOBILE: (0.4, 0.6), Space.FOREIGN: (0.15, 0.05)},
    life_days=2.0,
    lanes=2,
)
SITE = Role({Space.SITE: (1, 1)}, life_days=6, lanes=2, listed=(0.4, 0.3))
APP = Role({Space.APP: (1, 1)}, life_days=10, lanes=1, listed=(0.3, 0.2))
MULE = Role(
    {Space.CARD: (0.72, 0.62), Space.MOBILE: (0.16, 0.2), Space.MERCHANT: (0.12, 0.18)},
    life_days=2.5,
    lanes=2,
    rings=0.35,
)
TOOL = Role({Space.APP: (1, 1)}, public=10)
BANK = Role({Space.SERVICE: (1, 1)}, public=8)
LENDER = Role({Space.APP: (1, 1)}, public=40)
POLICE = Role({Space.LANDLINE: (1, 1)}, public=60)

CREW: Mapping[str, Role] = {
    "caller": CALLER, "handler": HANDLER, "sender": SENDER, "site": SITE, "fakeapp": APP,
    "mule": MULE, "tool": TOOL, "bank": BANK, "lender": LENDER, "police": POLICE,
}  # fmt: skip
HONEST = frozenset({"bank", "lender", "police", "tool"})


@dataclass(frozen=True)
class Fraud:
    """A script, the official type it counts as, its share of cases, and when it first appears."""

    script: Script
    scam_type: str
    share: float
    emerges: float = 0.0
    retires: float = 1.0
    hours_to_report: float = 20.0  # median, from the last loss


def _script(name: str, steps: tuple[Step, ...], reach: float, profile: str,
            ages: tuple[float, ...]) -> Script:  # fmt: skip
    return Script(name, CREW, steps, reach, profile, ages, HONEST)


FRAUDS: tuple[Fraud, ...] = (
    Fraud(
        _script(
            "rebate",
            (
                Step("link", "sender"),
                Step("call_in", "caller", 3, chance=(0.35, 0.2), size=(150, 110)),
                Step("visit", "site", 2, times=(1, 3), every_h=6),
                Step("install", "fakeapp", 1, chance=(0.7, 0.55)),
                Step("pay", "mule", 5, 3, (1, 3), size=(160, 120), growth=1.8),
                Step("visit", "site", 6, 8, (0, 2)),
                Step("pay", "mule", 8, 5, (2, 4), size=(2600, 1900), spread=0.7, growth=1.9),
                Step("call_out", "handler", 4, 5, (0, 2), (0.5, 0.5), (180, 180)),
                Step("pay", "mule", 10, 6, (0, 2), size=(7400, 5600), growth=1.4),
            ),
            18, "online", (0.3, 1.6, 1.5, 1.0, 0.5, 0.1),
        ),
        "rebate", 0.30, hours_to_report=16,
    ),
    Fraud(
        _script(
            "investment",
            (
                Step("call_in", "caller", size=(200, 160)),
                Step("link", "sender", 20, 40, (1, 2)),
                Step("visit", "site", 12, 20, (2, 5)),
                Step("sms_in", "handler", 20, 24, (0, 3)),
                Step("install", "fakeapp", 10, chance=(0.85, 0.7)),
                Step("call_in", "handler", 24, 40, (0, 2), size=(420, 360)),
                Step("pay", "mule", 24, 40, (1, 2), size=(4500, 3500)),
                Step("visit", "site", 12, 24, (1, 3)),
                Step("pay", "mule", 30, 36, (1, 4), size=(14500, 12200), growth=1.3),
                Step("call_out", "handler", 10, 20, (0, 3), (0.6, 0.6), (240, 240)),
            ),
            20, "office", (0.05, 0.6, 1.3, 1.5, 1.2, 0.5),
        ),
        "investment", 0.09, hours_to_report=72,
    ),
    Fraud(
        _script(
            "shopping",
            (
                Step("visit", "site", times=(1, 3), every_h=2),
                Step("sms_in", "handler", 1, 3, (0, 2), (0.5, 0.6)),
                Step("call_out", "handler", 2, chance=(0.3, 0.2), size=(90, 90)),
                Step("pay", "mule", 1.5, 6, (1, 2), size=(1500, 1300), spread=1.0),
                Step("call_out", "handler", 30, 20, (0, 2), (0.5, 0.5), (40, 40)),
            ),
            6, "online", (0.8, 1.6, 1.4, 0.8, 0.5, 0.2),
        ),
        "shopping", 0.10, hours_to_report=90,
    ),
    Fraud(
        _script(
            "logistics",
            (
                Step("call_in", "caller", size=(620, 420), spread=0.6),
                Step("link", "sender", 0.2, chance=(0.4, 0.3)),
                Step("install", "tool", 0.2, chance=(0.5, 0.2)),
                Step("install", "fakeapp", 0.2, chance=(0.2, 0.5)),
                Step("screen_share", "tool", 0.15, chance=(0.7, 0.35), size=(1600, 1100)),
                Step("call_in", "caller", 0.2, 0.4, (0, 2), size=(900, 600)),
                Step("code", "bank", 0.1, 0.2, (0, 2)),
                Step("pay", "mule", 0.3, 0.25, (1, 4), size=(6500, 4800), spread=0.8),
                Step("call_out", "caller", 1, 1, (0, 2), (0.6, 0.6), (30, 30)),
            ),
            16, "office", (0.2, 1.5, 1.5, 1.0, 0.7, 0.2),
        ),
        "logistics", 0.11, hours_to_report=6,
    ),
    Fraud(
        _script(
            "loan",
            (
                Step("call_in", "caller", size=(210, 170)),
                Step("link", "sender", 1, chance=(0.7, 0.7)),
                Step("install", "fakeapp", 2, chance=(0.85, 0.7)),
                Step("visit", "site", 0.5, chance=(0.4, 0.6)),
                Step("call_in", "handler", 4, 6, (0, 2), size=(300, 240)),
                Step("pay", "mule", 3, 5, (1, 3), size=(3300, 2500), growth=1.3),
                Step("call_out", "handler", 2, 5, (0, 3), (0.7, 0.7), (150, 150)),
                Step("pay", "mule", 6, 6, (0, 2), size=(4200, 3300)),
            ),
            20, "office", (0.1, 1.4, 1.6, 1.0, 0.5, 0.1),
        ),
        "loan", 0.09, hours_to_report=18,
    ),
    Fraud(
        _script(
            "credit",
            (
                Step("call_in", "caller", size=(1100, 700), spread=0.5),
                Step("install", "tool", 0.2, chance=(0.5, 0.25)),
                Step("screen_share", "tool", 0.2, chance=(0.75, 0.4), size=(2400, 1500)),
                Step("install", "lender", 0.4, 0.3, (0, 2)),
                Step("code", "bank", 0.2, 0.3, (1, 3)),
                Step("call_in", "caller", 0.5, 1, (0, 2), size=(1500, 900)),
                Step("pay", "mule", 0.4, 0.5, (2, 4), size=(8500, 6200), spread=0.7),
                Step("call_out", "caller", 1.5, 1, (0, 2), (0.6, 0.6), (25, 25)),
            ),
            18, "office", (0.1, 1.8, 1.5, 0.7, 0.3, 0.1),
        ),
        "credit", 0.07, hours_to_report=8,
    ),
    Fraud(
        _script(
            "acquaintance",
            (
                Step("call_in", "caller", size=(80, 70)),
                Step("sms_in", "handler", 3, 2, (0, 2)),
                Step("call_in", "handler", 18, 2, (1, 2), size=(140, 120)),
                Step("pay", "mule", 0.7, 1.2, (1, 2), size=(20000, 16000), spread=0.8),
                Step("call_out", "handler", 2, 3, (0, 2), (0.5, 0.5), (60, 60)),
            ),
            20, "office", (0.1, 0.6, 1.0, 1.5, 1.4, 0.5),
        ),
        "acquaintance", 0.04, hours_to_report=14,
    ),
    Fraud(
        _script(
            "authority",
            (
                Step("call_in", "caller", size=(1300, 900), spread=0.6),
                Step("call_out", "police", 0.3, chance=(0.25, 0.2), size=(120, 120)),
                Step("call_in", "handler", 3, 8, (1, 3), size=(1800, 1300), spread=0.6),
                Step("install", "fakeapp", 1, chance=(0.5, 0.5)),
                Step("remote_control", "tool", 0.5, chance=(0.4, 0.2), size=(2400, 1500)),
                Step("screen_share", "tool", 0.5, chance=(0.3, 0.4), size=(1800, 1200)),
                Step("pay", "mule", 4, 6, (1, 4), size=(14000, 11500), spread=0.8),
                Step("call_out", "handler", 5, 10, (0, 3), (0.7, 0.7), (300, 300)),
            ),
            24, "office", (0.3, 1.2, 0.8, 0.9, 1.5, 1.6),
        ),
        "authority", 0.03, hours_to_report=36,
    ),
    Fraud(
        _script(
            "romance",
            (
                Step("sms_in", "handler", times=(1, 3), every_h=12),
                Step("call_in", "handler", 30, 20, (2, 4), size=(700, 600)),
                Step("call_out", "handler", 20, 20, (1, 3), size=(600, 500)),
                Step("visit", "site", 24, 24, (0, 3)),
                Step("pay", "mule", 24, 40, (1, 3), size=(1300, 1100), growth=1.8),
                Step("call_in", "handler", 20, 20, (1, 2), size=(800, 700)),
                Step("pay", "mule", 30, 40, (1, 3), size=(10000, 8000), growth=1.3),
            ),
            8, "social", (0.1, 1.0, 1.3, 1.2, 0.8, 0.3),
        ),
        "romance", 0.02, hours_to_report=160,
    ),
    Fraud(
        _script(
            "game",
            (
                Step("visit", "site", times=(1, 2)),
                Step("sms_in", "handler", 0.5, 1, (0, 2), (0.5, 0.5)),
                Step("pay", "mule", 0.6, 0.5, (1, 4), size=(700, 600), spread=0.9, growth=1.4),
                Step("call_out", "handler", 1, chance=(0.3, 0.3), size=(40, 40)),
            ),
            5, "online", (4.0, 2.2, 0.7, 0.2, 0.05, 0.02),
        ),
        "game", 0.03, hours_to_report=24,
    ),
    Fraud(
        _script(
            "ticket",
            (
                Step("link", "sender"),
                Step("call_out", "caller", 0.5, chance=(0.8, 0.7), size=(480, 360)),
                Step("screen_share", "tool", 0.2, chance=(0.5, 0.3), size=(1200, 900)),
                Step("code", "bank", 0.1, 0.2, (0, 2)),
                Step("pay", "mule", 0.3, 0.4, (1, 3), size=(3000, 2400), spread=0.9),
            ),
            18, "social", (0.2, 1.4, 1.4, 1.0, 0.7, 0.3),
        ),
        "other", 0.07, retires=0.85, hours_to_report=10,
    ),
    Fraud(
        # the script nobody has seen before the last third: subsidies for the elderly and parents
        _script(
            "subsidy",
            (
                Step("sms_in", "sender"),
                Step("sms_out", "sender", 0.5, chance=(0.5, 0.5)),
                Step("call_in", "caller", 2, chance=(0.7, 0.7), size=(260, 260)),
                Step("visit", "site", 0.3, 0.5, (1, 2)),
                Step("code", "bank", 0.1, 0.1, (1, 3)),
                Step("pay", "mule", 0.1, 0.2, (2, 6), size=(1900, 1900), spread=0.6),
            ),
            22, "office", (0.2, 0.6, 1.0, 1.4, 1.5, 0.7),
        ),
        "other", 0.05, emerges=0.7, hours_to_report=20,
    ),
)  # fmt: skip
