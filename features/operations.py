"""What can be asked of a stream: which integers it needs, how they become one number, its words.

Every operation names the raw integers (`Total`, `Mark`, `Own`) it needs; the engines provide those,
in bulk and live, and `features.finish` turns them into numbers by the named formula.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from features.keys import KEYS
from features.periods import DAY_S, LIFE, WINDOWS
from features.streams import BANK, JOINED, LEADS, OPERATOR, PLATFORM, STREAMS

if TYPE_CHECKING:
    from features.spec import FeatureSpec

__all__ = ["FIELDS", "OPERATIONS", "Field", "Mark", "Operation", "Own", "Reference", "Total"]

FEN = 100.0
LAG = "_lag_7d"
ORDER_S = DAY_S


@dataclass(frozen=True)
class Total:
    """An accumulator over a window: count, sum, square, max, distinct, or distinct others."""

    stream: str
    op: str
    window: str
    value: str = ""


@dataclass(frozen=True)
class Mark:
    """A moment kept with the key: first, last, or a chain's start or call, in microseconds."""

    stream: str
    op: str


@dataclass(frozen=True)
class Own:
    """A field of the event itself (or of its links)."""

    field: str


Reference = Total | Mark | Own


@dataclass(frozen=True)
class Field:
    """An attribute the event carries itself."""

    zh: str
    en: str
    unit: str
    source: str
    scale: float = 1.0


FIELDS: Final[Mapping[str, Field]] = {
    "kind": Field("事件种类", "kind of event", "code", JOINED),
    "amount": Field("转账金额", "amount", "CNY", BANK, FEN),
    "duration": Field("时长", "duration", "s", OPERATOR),
    "hour": Field("发生时刻", "hour of the day", "hour", JOINED),
    "weekday": Field("星期（0为周一）", "day of the week (0 Monday)", "day", JOINED),
    "weekend": Field("是否周末", "weekend", "yes/no", JOINED),
    "night": Field("是否夜间", "at night", "yes/no", JOINED),
    "incoming": Field("是否对方主动", "started by the counterpart", "yes/no", OPERATOR),
    "roaming": Field("对方是否漫游", "counterpart roaming", "yes/no", OPERATOR),
    "foreign": Field("是否境外或虚拟号码", "foreign or virtual number", "yes/no", OPERATOR),
    "age_days": Field("对方号码入网天数", "days the number is in service", "days", OPERATOR),
    "has_link": Field("是否含链接", "carries a link", "yes/no", OPERATOR),
    "has_code": Field("是否含验证码", "carries a code", "yes/no", OPERATOR),
    "listed": Field("是否涉诈名单", "on a fraud list", "yes/no", PLATFORM),
    "action": Field("应用行为", "app action", "code", PLATFORM),
    "limit_raised": Field("是否刚提高限额", "limit just raised", "yes/no", BANK),
    "channel": Field("转账渠道", "channel", "code", BANK),
    "grade": Field("线索级别", "grade of the lead", "code", LEADS),
    "delay": Field("迟到时长", "delay until known", "s", JOINED, 1e6),
    "surprise": Field("金额与本人平均之比", "amount against own mean", "%", BANK),
    "is_new": Field("是否首次往来", "first contact", "yes/no", JOINED),
    "new_device": Field("是否新设备", "new device", "yes/no", BANK),
    "contacts": Field("人数", "number of them", "counterparts", JOINED),
    "others": Field(
        "其中一方联系过且已向同一收款人付款的他人（上限8）",
        "others whom one of them reached and who paid this payee (up to 8)",
        "people",
        JOINED,
    ),
    "followed": Field(
        "其中一方接触后24小时内向新收款人付款的他人",
        "others who paid a new payee within 24 h of contact with one of them",
        "people",
        JOINED,
    ),
    "followed_shared": Field(
        "其中一方接触后24小时内向共同收款人付款的他人",
        "others who paid a shared payee within 24 h of contact with one of them",
        "people",
        JOINED,
    ),
    "reports": Field(
        "其中一方30天内被举报次数", "fraud reports on one of them in 30 days", "reports", JOINED
    ),
}
"""Fields an event carries, or gets from the state at its own moment."""

Needs = Callable[["FeatureSpec"], tuple[Reference, ...]]
Constants = Callable[["FeatureSpec"], tuple[float, ...]]
Words = Callable[["FeatureSpec"], str]


@dataclass(frozen=True)
class Operation:
    """One thing to ask.

    Parameters
    ----------
    formula : str
        Name of the function in `features.finish`.
    needs : callable
        Spec to the integers it needs.
    unit : callable
        Spec to unit.
    zh, en : str
        Sentence with ``{key}``, ``{stream}``, ``{window}``, ``{of}``; ``{value}`` stays.
    constants : callable
        Spec to the formula's constants.
    """

    formula: str
    needs: Needs
    unit: Words
    zh: str
    en: str
    constants: Constants

    def sentence(self, spec: "FeatureSpec", language: int) -> str:
        """Fill the pattern of one language (0 Chinese, 1 English)."""
        pattern = (self.zh, self.en)[language]
        words = {
            "key": _key_words(spec, language),
            "stream": _stream_words(spec.stream, language),
            "of": _stream_words(spec.of, language),
            "window": _window_words(spec.window, language),
            "value": "{value}",
            "unit": spec.unit,
        }
        return pattern.format(**words).replace("  ", " ")

    @staticmethod
    def field(name: str) -> Field:
        """The field an event or link feature is about."""
        return FIELDS[name]


def _key_words(spec: "FeatureSpec", language: int) -> str:
    return KEYS[spec.key][language]


def _stream_words(name: str, language: int) -> str:
    if not name:
        return ""
    found = STREAMS.get(name) or FIELDS[name]
    return (found.zh, found.en)[language]


def _window_words(name: str, language: int) -> str:
    if name in WINDOWS:
        return (WINDOWS[name].zh, WINDOWS[name].en)[language]
    return ("有记录以来", "since first seen")[language] if name == LIFE else ""


def _nothing(_: "FeatureSpec") -> tuple[float, ...]:
    return ()


def _one(_: "FeatureSpec") -> tuple[float, ...]:
    return (1.0,)


def _scale(spec: "FeatureSpec") -> tuple[float, ...]:
    return (_divisor(spec.value),)


def _divisor(value: str) -> float:
    return {"amount": FEN, "surprise": FEN}.get(value, 1.0)


def _unit_of_value(spec: "FeatureSpec") -> str:
    return {"amount": "CNY", "duration": "s", "surprise": "times own mean"}[spec.value]


def _unit(text: str) -> Words:
    return lambda _: text


def _count(spec: "FeatureSpec", stream: str = "", window: str = "") -> Total:
    return Total(stream or spec.stream, "count", window or spec.window)


def _sum(spec: "FeatureSpec", window: str = "") -> Total:
    return Total(spec.stream, "sum", window or spec.window, spec.value)


def _moments(spec: "FeatureSpec") -> tuple[Reference, ...]:
    """Count, sum and sum of squares of whole yuan: the squares of fen would leave 2**53."""
    return (
        _count(spec),
        Total(spec.stream, "sum", spec.window, "yuan"),
        Total(spec.stream, "square", spec.window, "yuan"),
    )


def _stretch(spec: "FeatureSpec") -> float:
    return WINDOWS["30d"].length_s / WINDOWS[spec.window].length_s


PEOPLE = _unit("people")
TIMES = _unit("times")
SHARE = _unit("share")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "value": Operation(
        "field",
        lambda spec: (Own(spec.stream),),
        lambda spec: FIELDS[spec.stream].unit,
        "{key}：{stream}为{value}",
        "{key}: {stream} is {value}",
        lambda spec: (FIELDS[spec.stream].scale,),
    ),
    "count": Operation(
        "plain",
        lambda spec: (_count(spec),),
        _unit("events"),
        "{key}{window}{stream}{value}次",
        "{key}: {stream} {window}: {value}",
        _one,
    ),
    "sum": Operation(
        "plain",
        lambda spec: (_sum(spec),),
        _unit_of_value,
        "{key}{window}{stream}合计{value}（{unit}）",
        "{key}: {stream} {window} add up to {value} ({unit})",
        _scale,
    ),
    "mean": Operation(
        "ratio",
        lambda spec: (_sum(spec), _count(spec)),
        _unit_of_value,
        "{key}{window}{stream}平均每次{value}（{unit}）",
        "{key}: {stream} {window} are {value} ({unit}) on average",
        lambda spec: (1.0, _divisor(spec.value)),
    ),
    "max": Operation(
        "plain",
        lambda spec: (Total(spec.stream, "max", spec.window, spec.value),),
        _unit_of_value,
        "{key}{window}{stream}最大一次{value}（{unit}）",
        "{key}: the largest of {stream} {window} is {value} ({unit})",
        _scale,
    ),
    "std": Operation(
        "spread",
        _moments,
        _unit("CNY"),
        "{key}{window}{stream}金额波动（标准差）{value}元",
        "{key}: {stream} {window} vary by {value} (CNY, standard deviation)",
        _nothing,
    ),
    "distinct": Operation(
        "plain",
        lambda spec: (Total(spec.stream, "distinct", spec.window, spec.value),),
        _unit("counterparts"),
        "{key}{window}{stream}涉及{value}个不同对象",
        "{key}: {stream} {window} with {value} different ones",
        _one,
    ),
    "in_degree": Operation(
        "plain",
        lambda spec: (Total(spec.stream, "others", spec.window),),
        PEOPLE,
        "{window}另有{value}人与{key}发生{stream}",
        "{value} other people had {stream} to {key} {window}",
        _one,
    ),
    "out_degree": Operation(
        "plain",
        lambda spec: (Total(spec.stream, "others", spec.window),),
        PEOPLE,
        "{key}{window}{stream}另外{value}人",
        "{key}: {stream} from it reached {value} other people {window}",
        _one,
    ),
    "others": Operation(
        "plain",
        lambda spec: (Total(spec.stream, "others", spec.window),),
        PEOPLE,
        "{key}{window}另有{value}名{stream}",
        "{key}: {value} other {stream} {window}",
        _one,
    ),
    "since_last": Operation(
        "elapsed",
        lambda spec: (Mark(spec.stream, "last"),),
        _unit("s"),
        "{key}上一次{stream}在{value}秒前",
        "{key}: {stream}, the last {value} s ago",
        _nothing,
    ),
    "since_first": Operation(
        "elapsed",
        lambda spec: (Mark(spec.stream, "first"),),
        _unit("s"),
        "{key}首次{stream}在{value}秒前",
        "{key}: {stream}, the first {value} s ago",
        _nothing,
    ),
    "share": Operation(
        "ratio",
        lambda spec: (_count(spec), _count(spec, spec.of)),
        SHARE,
        "{key}{window}{of}中{stream}占比{value}",
        "{key}: {stream} are {value} of {of} {window}",
        lambda _: (1.0, 1.0),
    ),
    "rate": Operation(
        "ratio",
        lambda spec: (_count(spec), _count(spec, spec.of, spec.window + LAG)),
        _unit("per event"),
        "{key}{window}{stream}次数与7天前同期{of}次数之比{value}",
        "{key}: {stream} {window} per {of} in as long a time 7 days before: {value}",
        lambda _: (1.0, 1.0),
    ),
    "habit": Operation(
        "ratio",
        lambda spec: (_count(spec), _count(spec, window="30d")),
        TIMES,
        "{key}{window}{stream}频次为其30天常态的{value}倍",
        "{key}: {stream} {window} are {value} times the own 30-day habit",
        lambda spec: (_stretch(spec), 1.0),
    ),
    "habit_sum": Operation(
        "ratio",
        lambda spec: (_sum(spec), _sum(spec, "30d")),
        TIMES,
        "{key}{window}{stream}总额为其30天常态的{value}倍",
        "{key}: the sum of {stream} {window} is {value} times the own 30-day habit",
        lambda spec: (_stretch(spec), 1.0),
    ),
    "to_mean": Operation(
        "to_mean",
        lambda spec: (Own("amount"), _count(spec), _sum(spec)),
        TIMES,
        "本次金额为{key}{window}{stream}平均金额的{value}倍",
        "this amount is {value} times the mean of {stream} {window} ({key})",
        _nothing,
    ),
    "to_max": Operation(
        "to_max",
        lambda spec: (Own("amount"), Total(spec.stream, "max", spec.window, spec.value)),
        TIMES,
        "本次金额为{key}{window}{stream}最大金额的{value}倍",
        "this amount is {value} times the largest of {stream} {window} ({key})",
        _nothing,
    ),
    "zscore": Operation(
        "zscore",
        lambda spec: (Own("yuan"), *_moments(spec)),
        _unit("standard deviations"),
        "本次金额高出{key}{window}{stream}平均金额{value}个标准差",
        "this amount is {value} standard deviations above {stream} {window} ({key})",
        _nothing,
    ),
    "order": Operation(
        "order",
        lambda spec: (
            Own("now"),
            Own("at"),
            Own("kind"),
            Mark("risky_app", "last"),
            Mark(spec.stream, "chain_start"),
            Mark(spec.stream, "chain_call"),
        ),
        _unit("step"),
        "24小时内依次出现：装应用或远程控制、通话、转账，已到第{value}步",
        "app install or remote control, then a call, then a transfer within 24 h: step {value}",
        lambda _: (ORDER_S * 1e6,),
    ),
}
"""Everything that can be asked, by name."""
