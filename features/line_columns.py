"""Columns of a Sichuan-like table: what an operator knows about one line over some months.

Meanings follow the column names and the 2020 Digital Sichuan contest's raw tables (voice, SMS, app
traffic, monthly bill); the contest published no dictionary. Every column is the operator's own
record of a line, used under Art. 22-25 of the Anti-Telecom-and-Online-Fraud Law.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LABEL", "LINE", "LINE_COLUMNS", "LineColumn"]

LINE = "phone_no_m"
LABEL = "label"


@dataclass(frozen=True)
class LineColumn:
    """One number known of a line.

    Parameters
    ----------
    name : str
        As in the table; derived ones say what they are derived from.
    topic : str
        What it is about; reasons of one topic are told as one.
    unit : str
    zh, en : str
        What it says of a line.

    Examples
    --------
    >>> LINE_COLUMNS["imeis"].en
    'different handsets the line was used in'
    """

    name: str
    topic: str
    unit: str
    zh: str
    en: str


COLUMNS = (
    ("opposite_count", "partners", "calls", "通话次数", "calls made and received"),
    ("opposite_unique", "partners", "numbers", "通话对端号码数", "different numbers it talked to"),
    ("voccalltype1", "partners", "calls", "主叫次数", "calls it made"),
    ("imeis", "places", "handsets", "使用过的终端数", "different handsets the line was used in"),
    ("voc_calltype1", "partners", "share", "主叫占比", "share of its calls that it made itself"),
    ("city_name_call", "places", "cities", "主叫所在城市数", "cities it called from"),
    ("county_name_call", "places", "counties", "主叫所在区县数", "counties it called from"),
    (
        "phone2opposite_mean",
        "partners",
        "calls",
        "每个对端平均通话次数",
        "calls per number, average",
    ),
    (
        "phone2opposite_median",
        "partners",
        "calls",
        "每个对端通话次数中位数",
        "calls per number, median",
    ),
    (
        "phone2opposite_max",
        "partners",
        "calls",
        "最常联系号码的通话次数",
        "calls with its most frequent number",
    ),
    (
        "phone2oppo_sum_mean",
        "lengths",
        "s",
        "每个对端平均通话时长",
        "talk time per number, average",
    ),
    (
        "phone2oppo_sum_median",
        "lengths",
        "s",
        "每个对端通话时长中位数",
        "talk time per number, median",
    ),
    (
        "phone2oppo_sum_max",
        "lengths",
        "s",
        "最长对端累计通话时长",
        "longest talk time with one number",
    ),
    ("call_dur_mean", "lengths", "s", "平均通话时长", "length of a call, average"),
    ("call_dur_median", "lengths", "s", "通话时长中位数", "length of a call, median"),
    ("call_dur_max", "lengths", "s", "最长通话时长", "longest call"),
    ("call_dur_min", "lengths", "s", "最短通话时长", "shortest call"),
    ("city_name_nunique", "places", "cities", "通话所在城市数", "cities it was in during calls"),
    (
        "county_name_nunique",
        "places",
        "counties",
        "通话所在区县数",
        "counties it was in during calls",
    ),
    (
        "calltype_id_unique",
        "partners",
        "kinds",
        "通话类型数",
        "kinds of call: made, received, forwarded",
    ),
    ("voc_hour_mode", "rhythm", "hour", "通话最多的钟点", "hour with most calls"),
    (
        "voc_hour_mode_count",
        "rhythm",
        "calls",
        "通话最多钟点的次数",
        "calls in its busiest hour of day",
    ),
    ("voc_hour_nunique", "rhythm", "hours", "有通话的钟点数", "hours of the day with calls"),
    ("voc_day_mode", "rhythm", "date", "通话最多的日期", "day of the month with most calls"),
    (
        "voc_day_mode_count",
        "rhythm",
        "calls",
        "通话最多日期的次数",
        "calls on its busiest day of month",
    ),
    ("voc_day_nunique", "rhythm", "days", "有通话的日期数", "days of the month with calls"),
    ("sms_count", "messages", "messages", "短信条数", "messages sent and received"),
    (
        "sms_nunique",
        "messages",
        "numbers",
        "短信对端号码数",
        "different numbers it exchanged messages with",
    ),
    ("sms_rate", "messages", "messages", "每个对端短信条数", "messages per number"),
    ("calltype_2", "messages", "messages", "接收短信条数", "messages it received"),
    (
        "calltype_rate",
        "messages",
        "share",
        "接收短信占比",
        "share of its messages that it received",
    ),
    ("hour_mode", "messages", "hour", "短信最多的钟点", "hour with most messages"),
    (
        "hour_mode_count",
        "messages",
        "messages",
        "短信最多钟点的条数",
        "messages in its busiest hour of day",
    ),
    ("hour_nunique", "messages", "hours", "有短信的钟点数", "hours of the day with messages"),
    ("day_mode", "messages", "date", "短信最多的日期", "day of the month with most messages"),
    (
        "day_mode_count",
        "messages",
        "messages",
        "短信最多日期的条数",
        "messages on its busiest day of month",
    ),
    ("day_nunique", "messages", "days", "有短信的日期数", "days of the month with messages"),
    ("busi_count", "traffic", "apps", "使用过的应用数", "different apps with traffic"),
    ("flow_mean", "traffic", "MB", "单条流量均值", "traffic per record, average"),
    ("flow_median", "traffic", "MB", "单条流量中位数", "traffic per record, median"),
    ("flow_min", "traffic", "MB", "单条流量最小值", "traffic per record, smallest"),
    ("flow_max", "traffic", "MB", "单条流量最大值", "traffic per record, largest"),
    ("flow_var", "traffic", "MB²", "流量方差", "variance of its traffic"),
    ("flow_sum", "traffic", "MB", "流量总和", "traffic in all"),
    ("month_ids", "traffic", "months", "有流量的月份数", "months with traffic"),
    ("flow_month", "traffic", "MB", "月均流量", "traffic per month"),
    ("arpu_mean", "bills", "CNY", "月均话费", "monthly bill, average"),
    ("arpu_var", "bills", "CNY²", "话费方差", "variance of its monthly bill"),
    ("arpu_max", "bills", "CNY", "最高月话费", "highest monthly bill"),
    ("arpu_min", "bills", "CNY", "最低月话费", "lowest monthly bill"),
    ("arpu_median", "bills", "CNY", "话费中位数", "monthly bill, median"),
    ("arpu_sum", "bills", "CNY", "话费合计", "bills in all"),
    ("arpu_skew", "bills", "1", "话费偏度", "skewness of its monthly bills"),
    ("arpu_sem", "bills", "CNY", "话费均值标准误", "standard error of its average bill"),
    (
        "arpu_quantile",
        "bills",
        "CNY",
        "话费中位数（分位数列）",
        "monthly bill, median (as a quantile)",
    ),
)

LINE_COLUMNS: Mapping[str, LineColumn] = {row[0]: LineColumn(*row) for row in COLUMNS}
"""The 55 columns, in the order of the published table."""
