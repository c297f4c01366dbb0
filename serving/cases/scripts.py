"""What to say: by scam type and stage, how the fraud goes on, one question to ask, what clears it.

A citizen who is told what the stranger will ask next believes more readily than one who is told to
be careful; so the opening names the next move before it comes. The types are the Ministry of Public
Security's ten (2023) with the rest; the stages China Mobile's (2016), as the models have them. The
sentences are suggestions: officers say them in their own words.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Both", "Script", "script_for"]

Both = tuple[str, str]
"""Chinese, English."""


@dataclass(frozen=True)
class Script:
    """What to say to one citizen now.

    Parameters
    ----------
    opening : Both
        Who calls, and the fraud's next move before it comes.
    question : Both
        One to ask; the answer tells whether it is a fraud.
    clears : Both
        What would make it harmless.
    """

    opening: Both
    question: Both
    clears: Both


@dataclass(frozen=True)
class _Scheme:
    """How one type goes on at each stage."""

    contact: Both
    engaged: Both
    paying: Both
    question: Both
    clears: Both


_HELLO: Mapping[str, Both] = {
    "contact": ("您好，我是反诈中心，请先别按对方说的做。", "The anti-fraud centre here. "),
    "engaged": (
        "您好，我是反诈中心，您可能正被骗子一步步引导。",
        "The anti-fraud centre here: somebody may be leading you step by step. ",
    ),
    "paying": (
        "我是反诈中心，请立即停止转账，不要挂断。",
        "The anti-fraud centre here: stop the transfer now and stay on the line. ",
    ),
}

_SCHEMES: Mapping[str, _Scheme] = {
    "rebate": _Scheme(
        ("对方会先给您几笔小额返利。", "First they will pay you back small sums."),
        ("接下来会说要做“连单”，垫付后才能提现。",
         "Next comes a chain of tasks: you pay in before you can take out."),
        ("对方会说操作有误，再转一笔才能解冻。",
         "They will say you made an error and must pay once more to unlock the money."),
        ("让您垫过钱吗？有没有一笔提不出来？",
         "Did you pay anything in advance, and is there a sum you cannot take out?"),
        ("本人已收回全部垫付款，且是实体商家的正式兼职。",
         "all money advanced came back, and the employer is a real, registered one"),
    ),
    "investment": _Scheme(
        ("会有“老师”拉您进群看别人赚钱。", "A teacher will invite you to a group that earns."),
        ("接下来会让您下载对方给的软件，先赚一点再加大投入。",
         "Next you install their app, win a little and put in more."),
        ("提现时会要您先交税费、保证金。",
         "When you want to take it out they ask for tax or a deposit first."),
        ("软件是从应用商店下的，还是对方发的链接？",
         "Did the app come from an app store, or from a link they sent?"),
        ("持牌机构的官方软件，且钱能当天转回本人账户。",
         "a licensed firm's own app, and the money comes back to the own account the same day"),
    ),
    "shopping": _Scheme(
        ("对方会让您离开平台私下交易。", "They will ask you to deal outside the platform."),
        ("接下来会说先付定金、运费才发货。",
         "Next they want a deposit or freight before anything is sent."),
        ("付完会再以关税、保险等理由要钱。",
         "After that they ask again: customs, insurance."),
        ("是在平台里付款，还是扫对方发的码？",
         "Do you pay inside the platform, or by a code they sent?"),
        ("在正规平台内付款，订单可查、可退。",
         "paid inside a known platform, with an order that can be looked up and refunded"),
    ),
    "logistics": _Scheme(
        ("对方会说快递丢失或商品有问题，要给您理赔。",
         "They will say a parcel is lost or faulty and offer to pay you."),
        ("接下来会让您开屏幕共享，或去借款平台“走流程”。",
         "Next they want to see your screen, or have you borrow for the procedure."),
        ("会让您把钱转到所谓安全账户验证。",
         "They will have you move money to a safe account to verify it."),
        ("对方让您开屏幕共享或会议软件了吗？",
         "Did they have you share your screen or open a meeting app?"),
        ("本人在购物平台官方客服处查到同一笔理赔。",
         "the platform's own service confirms the same claim"),
    ),
    "loan": _Scheme(
        ("对方会说无抵押、秒到账。", "They will promise a loan at once, without security."),
        ("接下来会说卡号填错、额度冻结，要交解冻费。",
         "Next they say the card number was wrong and you must pay to unlock the loan."),
        ("会再要保证金、刷流水，钱不会放下来。",
         "They ask for a deposit and turnover; the loan never comes."),
        ("放款前让您先交过任何费用吗？", "Did you have to pay anything before the loan came?"),
        ("银行或持牌机构柜面可查，放款前不收任何费用。",
         "a bank's own branch knows the loan, and nothing is paid before it"),
    ),
    "credit": _Scheme(
        ("对方会说您有不良征信或要注销校园贷。",
         "They will say your credit record is bad or a student loan must be closed."),
        ("接下来会让您借光各平台额度转给他“清零”。",
         "Next you borrow all you can and send it to them to clear the record."),
        ("会给您一个验资账户，说查完就退。",
         "They give you an account for checking and promise it back."),
        ("让您从借款平台借钱再转出去吗？",
         "Are you to borrow on a platform and pass the money on?"),
        ("本人在人民银行征信中心查到同样记录，且不需转账。",
         "the central bank's credit centre shows the same, and asks for no transfer"),
    ),
    "acquaintance": _Scheme(
        ("对方会以领导或熟人身份先关心您，再让您保密。",
         "As a boss or friend they first ask after you, then for secrecy."),
        ("接下来会说不方便出面，请您代转一笔钱。",
         "Next they cannot appear themselves: would you pass on a sum."),
        ("会发假的转账截图，催您先垫。", "They send a false receipt and press you to pay first."),
        ("您有没有用原来的号码打给他本人核实？",
         "Did you call him back on the number you have always had?"),
        ("本人当面或用原号码通话确认过。",
         "confirmed face to face or by a call to the old number"),
    ),
    "authority": _Scheme(
        ("对方会说您涉案，要转接“公安局”。",
         "They will say you are in a case and put you through to the police."),
        ("接下来会让您独处、保密，下载软件看“通缉令”。",
         "Next you are to be alone, tell nobody, and install an app with a warrant."),
        ("会让您把钱归集到“安全账户”核查，公安没有安全账户。",
         "They have you gather all money in a safe account; the police have none."),
        ("对方是否让您不要告诉家人、不要挂电话？",
         "Did they tell you to say nothing to your family and not to hang up?"),
        ("当地派出所当面出示文书，且不要求转账。",
         "the local station shows the paper face to face, and asks for no transfer"),
    ),
    "romance": _Scheme(
        ("对方会很快谈感情，但不肯见面。", "They soon speak of love, but never meet."),
        ("接下来会带您投资，或说急用钱。",
         "Next they show you an investment, or are in need of money."),
        ("会说这是最后一笔，转了就来见您。",
         "They say it is the last sum, and then they will come."),
        ("你们见过面、视频通话过吗？是谁先提到钱？",
         "Have you met, or seen each other live? Who spoke of money first?"),
        ("双方长期线下见面，家人认识。", "they have met for long, and the family knows them"),
    ),
    "game": _Scheme(
        ("对方会说高价收您的账号、装备。", "They will offer a high price for your account."),
        ("接下来会让您去他给的网站交易，余额被“冻结”。",
         "Next you trade on their site, where your balance is frozen."),
        ("会一再要您充值解冻。", "They have you pay again and again to unlock it."),
        ("交易网站是游戏官方的，还是对方发的？",
         "Is the site the game's own, or one they sent?"),
        ("在游戏官方交易平台完成，无需先充值。",
         "done on the game's own market, without paying first"),
    ),
    "other": _Scheme(
        ("对方会想办法让您相信并保密。", "They will want your trust, and your silence."),
        ("接下来会让您下载软件、共享屏幕或提供验证码。",
         "Next they want an app installed, your screen shared, or a code told."),
        ("会催您尽快转账，不给时间核实。",
         "They press you to pay at once, with no time to check."),
        ("对方是怎么联系上您的？要您做什么、向谁转钱？",
         "How did they reach you, and what are you to do, and pay to whom?"),
        ("本人能说清对方身份和用途，且可从官方渠道核实。",
         "the citizen can say who it is and what for, and an official source confirms it"),
    ),
}  # fmt: skip


def script_for(scam_type: str, stage: str) -> Script:
    """What to say to a citizen at a stage of a scam; an unknown type is told as any other.

    Examples
    --------
    >>> script_for("loan", "paying").question[1]
    'Did you have to pay anything before the loan came?'
    >>> script_for("loan", "paying").opening[0]
    '我是反诈中心，请立即停止转账，不要挂断。会再要保证金、刷流水，钱不会放下来。'
    """
    scheme = _SCHEMES.get(scam_type, _SCHEMES["other"])
    stage = stage if stage in _HELLO else "engaged"
    (hello_zh, hello_en), (zh, en) = _HELLO[stage], getattr(scheme, stage)
    return Script((hello_zh + zh, hello_en + en), scheme.question, scheme.clears)
