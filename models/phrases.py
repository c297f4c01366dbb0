"""Numbers as officers say them, in Chinese and English: money, time, shares, yes and no."""

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from features.attributes import CODES
from features.keys import KEYS
from features.periods import WINDOWS
from features.spec import FeatureSpec
from features.streams import KINDS, LINKED, STREAMS

__all__ = ["Both", "fact", "kind_words", "pattern", "said"]

MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}).total_seconds() for unit in ("minutes", "hours", "days")
)
UNIT_MARKS: Final = (
    ("{value}（CNY）", "{value}"),
    ("{value}（s）", "{value}"),
    ("{value}秒", "{value}"),
    ("{value}元", "{value}"),
    ("{value} (CNY)", "{value}"),
    ("{value} (CNY, ", "{value} ("),
    ("{value} (s)", "{value}"),
    ("{value} s ", "{value} "),
    ("（times own mean）", "倍本人平均"),
    (" in in the ", " in, in the "),
)
"""A sentence names its unit once: the value brings it along where officers say it better."""
REWORDED: Final[Mapping[tuple[str, str], tuple[tuple[str, str], ...]]] = {
    ("subscriber", "report"): (("被举报", "本人报案"), ("fraud reports", "own reports of fraud")),
}
"""A subscriber's report is made by the citizen, a counterpart's is made about it."""


class Both(NamedTuple):
    """The same thing in Chinese and in English."""

    zh: str
    en: str


KIND_WORDS: Final[Mapping[str, Both]] = {
    "call": Both("通话", "calls"),
    "sms": Both("短信", "messages"),
    "app": Both("应用活动", "app activities"),
    "transfer": Both("转账", "transfers"),
    "report": Both("举报", "reports"),
    "lead": Both("线索", "leads"),
}
CODE_WORDS: Final[Mapping[str, Both]] = {
    **KIND_WORDS,
    "install": Both("安装应用", "install"),
    "visit": Both("访问", "visit"),
    "remote_control": Both("远程控制", "remote control"),
    "screen_share": Both("屏幕共享", "screen sharing"),
    "mobile": Both("手机银行", "mobile"),
    "web": Both("网上银行", "web"),
    "counter": Both("柜面", "counter"),
    "atm": Both("自动柜员机", "cash machine"),
    "card": Both("刷卡", "card"),
    "wallet": Both("电子钱包", "wallet"),
    "urgent": Both("紧急", "urgent"),
    "high": Both("高", "high"),
    "medium": Both("中", "medium"),
    "low": Both("低", "low"),
}
LONGEST: Final = (("最大一次", "最长一次"), ("the largest of", "the longest of"))
HABITS: Final = ("habit", "habit_sum")
COMPARISONS: Final = (*HABITS, "rate", "to_mean", "to_max", "zscore")
LONGEST_MEASURE: Final = 6  # characters of a measure word that follows a number, as 个标准差
WEEKDAYS: Final = (
    Both("周一", "Monday"),
    Both("周二", "Tuesday"),
    Both("周三", "Wednesday"),
    Both("周四", "Thursday"),
    Both("周五", "Friday"),
    Both("周六", "Saturday"),
    Both("周日", "Sunday"),
)


def kind_words(kind: str) -> Both:
    """What events of a kind are called together.

    Examples
    --------
    >>> kind_words("transfer").en
    'transfers'
    """
    return KIND_WORDS.get(kind, Both("事件", "events"))


def said(value: float, unit: str) -> Both:
    """A value with its unit.

    Examples
    --------
    >>> said(50_000.0, "CNY")
    Both(zh='50,000元', en='CNY 50,000')
    >>> said(1_260.0, "s").en, said(0.25, "share").zh, said(3.0, "events").en
    ('21 min', '25%', '3')
    """
    return _SAYERS.get(unit, _plain)(value)


def fact(spec: FeatureSpec, value: float) -> Both:
    """What a feature's value says, as a clause; a missing value is said to be missing.

    Examples
    --------
    >>> fact(FeatureSpec("subscriber", "sum", "call_in_new", "24h", "duration"), 4_800.0).en
    'the subscriber: incoming calls from new numbers in the last 24 hours add up to 80 min'
    >>> fact(FeatureSpec("pair", "since_last", "any"), math.nan).zh
    '双方之间此前没有各类活动记录'
    >>> fact(FeatureSpec("counterpart", "habit", "any", "24h"), math.nan).en
    'the counterpart: no activities of any kind in the last 30 days to compare with'
    """
    if math.isnan(value):
        return _missing(spec)
    zh, en = pattern(spec)
    words = _coded(spec, value) if spec.unit == "code" else said(value, spec.unit)
    return Both(zh.replace("{value}", words.zh), en.replace("{value}", words.en))


def pattern(spec: FeatureSpec) -> Both:
    """The clause of `fact`, with ``{value}`` for the value and its unit."""
    if spec.unit == "yes/no":
        return _asked(spec)
    if spec.stream in LINKED and spec.key not in {"event", "link"}:
        return _people(spec)
    zh, en = spec.zh, spec.en
    longest = LONGEST if spec.value == "duration" else ()
    for mark, bare in (*UNIT_MARKS, *longest, *REWORDED.get((spec.key, spec.stream), ())):
        zh, en = zh.replace(mark, bare), en.replace(mark, bare)
    return Both(zh, en)


def _asked(spec: FeatureSpec) -> Both:
    zh, en = (words.format(value="") for words in (spec.zh, spec.en))
    zh = zh.removesuffix("为").replace("：是否", "：")
    return Both(f"{zh}：{{value}}", f"{en.rstrip().removesuffix(' is')}: {{value}}")


def _people(spec: FeatureSpec) -> Both:
    key, stream, window = KEYS[spec.key], STREAMS[spec.stream], WINDOWS[spec.window]
    return Both(
        f"{key[0]}{window.zh}{stream.zh}：{{value}}人",
        f"{key[1]}: {stream.en}, {window.en}: {{value}}",
    )


def _missing(spec: FeatureSpec) -> Both:
    if spec.what in {"since_first", "since_last"}:
        key, stream = KEYS[spec.key], STREAMS[spec.stream]
        return Both(
            f"{key[0]}此前没有{stream.zh}记录", f"{key[1]}: no {stream.en} on record before"
        )
    if spec.what in COMPARISONS:
        return _nothing_to_compare(spec)
    zh, en = pattern(spec)
    return Both(f"{_before_value(zh)}：无记录", f"{_before_value(en)}: nothing on record")


def _nothing_to_compare(spec: FeatureSpec) -> Both:
    """A ratio without its denominator."""
    key = KEYS[spec.key]
    stream = STREAMS[spec.of or spec.stream]
    window = WINDOWS.get("30d" if spec.what in HABITS else spec.window)
    when = Both(window.zh, f" {window.en}") if window else Both("此前", " before")
    if spec.what == "rate":
        when = Both("7天前同期", " in as long a time 7 days before")
    return Both(
        f"{key[0]}{when.zh}没有{stream.zh}可比",
        f"{key[1]}: no {stream.en}{when.en} to compare with",
    )


def _before_value(pattern: str) -> str:
    """The sentence without its value, to say that there is none."""
    before, _, after = pattern.partition("{value}")
    bare = before if len(after) <= LONGEST_MEASURE else f"{before}{after}".replace("  ", " ")
    return bare.strip(" :：,，")


def _coded(spec: FeatureSpec, value: float) -> Both:
    names = KINDS if spec.stream == "kind" else CODES.get(spec.stream, ())
    if not 0 <= value < len(names):
        return _plain(value)
    return CODE_WORDS[names[int(value)]]


def _plain(value: float) -> Both:
    if value == round(value) or abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.1f}" if abs(value) >= 0.95 else f"{value:.2g}"
    return Both(text, text)


def _money(value: float) -> Both:
    return Both(f"{value:,.0f}元", f"CNY {value:,.0f}")


def _time(value: float) -> Both:
    for size, zh, en in ((DAY, "天", "days"), (HOUR, "小时", "h"), (MINUTE, "分钟", "min")):
        if value >= 2 * size:
            number = _rounded(value / size)
            return Both(f"{number}{zh}", f"{number} {en}")
    return Both(f"{value:.0f}秒", f"{value:.0f} s")


def _rounded(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def _share(value: float) -> Both:
    return Both(f"{value:.0%}", f"{value:.0%}")


def _percent(value: float) -> Both:
    return Both(f"{value:.0f}%", f"{value:.0f}%")


def _yes_no(value: float) -> Both:
    return Both("是", "yes") if value else Both("否", "no")


def _days(value: float) -> Both:
    return Both(f"{value:.0f}天", f"{value:.0f} days")


def _hour(value: float) -> Both:
    return Both(f"{value:.0f}时", f"{value:.0f} h")


def _weekday(value: float) -> Both:
    return WEEKDAYS[int(value) % 7]


_SAYERS: Final[Mapping[str, Callable[[float], Both]]] = {
    "CNY": _money,
    "s": _time,
    "share": _share,
    "%": _percent,
    "yes/no": _yes_no,
    "days": _days,
    "hour": _hour,
    "day": _weekday,
}
