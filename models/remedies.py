"""For every kind of reason: what would make it harmless, and where to check that in 30 seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from features.spec import FeatureSpec

__all__ = ["Remedy", "remedy"]


@dataclass(frozen=True)
class Remedy:
    """What clears a reason, and who or what tells within half a minute."""

    clears_zh: str
    clears_en: str
    check_zh: str
    check_en: str


STRANGER = Remedy(
    "来电者是本人能说出姓名的熟人、快递或已约定的机构",
    "the citizen can name the caller: an acquaintance, a courier, an office they had an "
    "appointment with",
    "问“对方是谁、怎么证明”；用官方公布的号码回拨核对",
    "ask who it was and how they proved it; call back on the number the office publishes",
)
LONG_CALL = Remedy(
    "长时间通话是与亲友或本人主动联系的客服",
    "the long call was with family, or with a service the citizen had called first",
    "问通话谈了什么、是否要求保密、下载或转账",
    "ask what it was about, and whether secrecy, an app or a payment was asked for",
)
FOREIGN = Remedy(
    "本人有亲友或业务在境外",
    "the citizen has family, friends or business abroad",
    "问是否有人在境外；对照近30天境外通话",
    "ask who is abroad; compare with 30 days of foreign calls",
)
YOUNG = Remedy(
    "新号码属于本人认识且刚换号的人",
    "the new number belongs to somebody known who changed numbers",
    "用旧号码联系该熟人核对",
    "reach that person on the old number",
)
LINK = Remedy(
    "链接来自本人正在使用的银行、商家或政务平台",
    "the link came from a bank, shop or office the citizen is dealing with",
    "让本人读出网址，在反诈中心名单中查询",
    "have the address read out and look it up in the fraud-site list",
)
CODE = Remedy(
    "验证码是本人自己操作触发且未告诉他人",
    "the citizen triggered the code and told it to nobody",
    "问是否有人索要验证码",
    "ask whether anybody wanted to know the code",
)
APP = Remedy(
    "应用来自官方商店且由本人自愿安装",
    "the app is from the official store and was the citizen's idea",
    "问应用名称和谁让装的；在反诈中心名单中查询",
    "ask its name and who wanted it; look it up in the fraud-app list",
)
CONTROL = Remedy(
    "远程协助者是亲友或单位技术人员",
    "the helper was family or the employer's technician",
    "请本人立即断开共享，再问是谁要求的",
    "have the sharing ended first, then ask who wanted it",
)
LISTED = Remedy(
    "名单误列，或只是误点未填写信息",
    "the listing is wrong, or it was opened by mistake and nothing was entered",
    "在名单系统核对该网址；问是否填写过银行卡或密码",
    "check the entry in the list; ask whether a card or password was entered",
)
PAYEE = Remedy(
    "收款人是本人认识的人或已核实的商家",
    "the payee is somebody known or a verified merchant",
    "问收款人是谁、账号从哪里来；请银行核对户名",
    "ask who it is and where the account number came from; the bank compares the name",
)
AMOUNT = Remedy(
    "金额对应购房、学费、医疗、工资等可出示凭证的用途",
    "the amount is for a home, school, hospital or wages and there is a paper for it",
    "问用途并请出示合同或缴费单",
    "ask what it is for and to see the contract or bill",
)
HASTE = Remedy(
    "多笔付款是本人计划内的支付",
    "the payments were planned by the citizen",
    "问是否有人催促或指示分笔转账",
    "ask whether anybody urged or told them to split it",
)
LIMIT = Remedy(
    "提高限额是本人为已知大额支出办理",
    "the limit was raised for a purchase the citizen can name",
    "问是谁建议提高限额",
    "ask who suggested raising the limit",
)
DEVICE = Remedy(
    "本人刚换手机或使用家人设备",
    "the citizen has a new phone or used a relative's",
    "问当前使用的手机型号并与登记设备核对",
    "ask for the phone's model and compare with the bank's",
)
REPORTED = Remedy(
    "举报有误，或号码、账户已换主人",
    "the report was mistaken, or the number or account has a new owner",
    "在案件系统打开该举报，看对象与时间",
    "open the report in the case system: whom it names and when",
)
FOLLOWED = Remedy(
    "这些人是向同一正规商家、学校或单位付款",
    "those people paid one real merchant, school or employer",
    "查询收款账户户名与近日入账人数",
    "look up the payee's name and how many paid it lately",
)
LEAD = Remedy(
    "该线索已由他人处置并反馈无风险",
    "the lead was already worked and closed as harmless",
    "在线索系统查看其他平台的反馈",
    "see the other platform's feedback in the lead system",
)
NIGHT = Remedy(
    "本人上夜班或惯于夜间活动",
    "the citizen works at night or is used to it",
    "对照近30天夜间活动；问当时在做什么",
    "compare with 30 days of nights; ask what they were doing",
)
OWN_CALL = Remedy(
    "本人主动联系且号码来自官方渠道",
    "the citizen called first, on a number from an official source",
    "问号码从哪里得到",
    "ask where the number came from",
)
BUSY = Remedy(
    "活动变化有日常原因：搬家、换工作、购物节",
    "there is an everyday cause: moving, a new job, a sale",
    "问近几天有什么变化",
    "ask what has changed these days",
)
ORDER = Remedy(
    "应用、通话和转账互不相干，且均由本人发起",
    "app, call and transfer have nothing to do with each other and were the citizen's own idea",
    "按时间顺序逐一询问三件事各由谁提出",
    "go through the three in order: whose idea was each",
)
PEER = Remedy(
    "对方是面向公众的正规机构或商家",
    "the other side is a real office or merchant serving the public",
    "查询该号码或账户的登记单位",
    "look up who the number or account is registered to",
)
PAIR = Remedy(
    "双方此前以其他方式已有往来",
    "the two had dealt with each other before by other means",
    "问如何认识、认识多久",
    "ask how and how long they have known each other",
)

TOPICS: Final[Mapping[str, Remedy]] = {
    **dict.fromkeys(("stranger", "inward", "call_in", "call_in_new"), STRANGER),
    **dict.fromkeys(("incoming", "contacts"), STRANGER),
    **dict.fromkeys(("call_long", "call_long_new", "duration", "talk"), LONG_CALL),
    **dict.fromkeys(("call_foreign", "foreign", "roaming"), FOREIGN),
    **dict.fromkeys(("call_young", "age_days"), YOUNG),
    **dict.fromkeys(("call_night", "night", "hour", "weekend", "weekday"), NIGHT),
    **dict.fromkeys(("outward", "call_out", "call_unanswered"), OWN_CALL),
    **dict.fromkeys(("sms_link", "has_link"), LINK),
    **dict.fromkeys(("sms_code", "has_code"), CODE),
    **dict.fromkeys(("install", "risky_app", "action"), APP),
    **dict.fromkeys(("control", "remote_control"), CONTROL),
    **dict.fromkeys(("listed",), LISTED),
    **dict.fromkeys(("transfer_new", "is_new", "channel"), PAYEE),
    **dict.fromkeys(("amount", "surprise", "transfer_unusual"), AMOUNT),
    **dict.fromkeys(("transfer", "transfer_night"), HASTE),
    **dict.fromkeys(("transfer_raised", "limit_raised"), LIMIT),
    **dict.fromkeys(("transfer_new_device", "new_device"), DEVICE),
    **dict.fromkeys(("report", "reports"), REPORTED),
    **dict.fromkeys(("followed", "followed_shared", "others", "transfer_shared"), FOLLOWED),
    **dict.fromkeys(("lead", "lead_high", "grade"), LEAD),
    **dict.fromkeys(("any", "kind", "delay"), BUSY),
}  # fmt: skip
KEYED: Final[Mapping[tuple[str, str], Remedy]] = {
    ("counterpart", "any"): PEER,
    ("counterpart", "inward"): PEER,
    ("counterpart", "stranger"): PEER,
    ("counterpart", "transfer"): PAYEE,
    ("pair", "any"): PAIR,
    ("payee_account", "transfer"): PAYEE,
    ("device", "any"): DEVICE,
    ("device", "transfer"): DEVICE,
}
"""Where whom it is about matters more than what is counted."""


OF_AMOUNT: Final = ("mean", "max", "std", "to_mean", "to_max", "zscore", "habit_sum")
"""Operations that speak of how much one payment is, not of how many there are."""


def remedy(spec: FeatureSpec) -> Remedy:
    """What clears a reason built on this feature.

    Examples
    --------
    >>> remedy(FeatureSpec("counterpart", "count", "report", "30d")).clears_zh
    '举报有误，或号码、账户已换主人'

    Raises
    ------
    KeyError
        If nobody has written one yet: a reason an officer cannot check is no reason.
    """
    if spec.what == "order":
        return ORDER
    if spec.stream.startswith("transfer") and spec.what in OF_AMOUNT:
        return AMOUNT
    found = KEYED.get((spec.key, spec.stream)) or TOPICS.get(spec.stream)
    if found is None:
        raise KeyError(
            f"expected a remedy for {spec.stream!r} ({spec.name}), found none; write one in "
            "models/remedies.py"
        )
    return found
