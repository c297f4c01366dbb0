"""What a record of the audit log says on screen; the file of records keeps it as it was written."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["DEEDS", "PARTS", "deed", "details"]

Both = tuple[str, str]

DEEDS: Mapping[str, Both] = {
    "take": ("取案", "took it"),
    "lock": ("占用", "kept it for himself"),
    "unlock": ("释放", "gave it back"),
    "note": ("写备注", "wrote a note"),
    "snooze": ("暂缓", "let it rest"),
    "reassign": ("转派", "gave it to somebody"),
    "attempt": ("登记劝阻", "recorded an attempt"),
    "outcome": ("登记结果", "recorded the outcome"),
    "reversal": ("撤销结果", "took the outcome back"),
    "district": ("改辖区", "changed the district"),
    "reported_attempt": ("外部平台联系", "reported an attempt"),
    "draft": ("起草", "drafted it"),
    "sign": ("签批", "signed it"),
    "decline": ("不予签批", "declined it"),
    "withdraw": ("撤回", "withdrew it"),
    "undo": ("撤销措施", "undid it"),
    "answer": ("登记答复", "recorded the answer"),
    "resend": ("重新发送", "sent it again"),
    "file": ("提出申诉", "filed it"),
    "upheld": ("申诉成立", "upheld it"),
    "rejected": ("申诉不成立", "rejected it"),
    "ask_test": ("申请检验", "asked for a test"),
    "test": ("检验完成", "tested it"),
    "live": ("启用", "put it live"),
    "retire": ("停用", "retired it"),
    "add_entry": ("加入名单", "put on a list"),
    "remove_entry": ("移出名单", "took off a list"),
    "refuse_entry": ("不同意加入名单", "refused to put on a list"),
    "keep": ("保存计划", "kept the plan"),
    "dose": ("记录停留", "recorded a stop"),
    "look": ("查询", "looked"),
    "export": ("导出", "took a file out"),
    "verify": ("验证完整性", "checked that it is whole"),
}
"""What was done within an act."""

PARTS: Mapping[str, Both] = {
    "version": ("版本", "version"),
    "outcome": ("结果", "outcome"),
    "loss_cny": ("损失（元）", "loss, CNY"),
    "amount_cny": ("金额（元）", "amount, CNY"),
    "stopped_cny": ("止付（元）", "stopped, CNY"),
    "scam_type": ("诈骗类型", "scam type"),
    "first_contact_at": ("首次接触时间", "first contact at"),
    "channel": ("方式", "channel"),
    "script": ("话术", "script"),
    "reached": ("联系上", "reached"),
    "believed": ("相信", "believed"),
    "refused": ("拒绝交谈", "refused"),
    "minutes": ("用时（分钟）", "minutes"),
    "platform": ("平台", "platform"),
    "at": ("时间", "at"),
    "until": ("至", "until"),
    "since": ("自", "since"),
    "to": ("转给", "to"),
    "case": ("案件", "case"),
    "request": ("请求", "request"),
    "receiver": ("接收单位", "receiver"),
    "kind": ("类别", "kind"),
    "state": ("状态", "state"),
    "answer": ("答复", "answer"),
    "found": ("找到（条）", "found"),
    "replaced": ("取代条目", "in place of"),
    "actor": ("操作人", "actor"),
    "action": ("操作", "action"),
    "subject": ("对象", "subject"),
    "sound": ("完整", "whole"),
    "role": ("角色", "role"),
    "district": ("辖区", "district"),
    "system": ("系统", "system"),
    "scopes": ("权限范围", "scopes"),
    "expires_at": ("到期", "expires at"),
    "message": ("消息", "message"),
    "topic": ("主题", "topic"),
    "tries": ("尝试次数", "tries"),
    "status": ("返回状态", "status"),
    "view": ("页面", "view"),
    "event_id": ("事件", "event"),
    "cell": ("网格", "cell"),
    "unit": ("警组", "unit"),
    "late": ("补录", "entered late"),
    "outside": ("计划之外", "outside the plan"),
    "date": ("日期", "date"),
    "stops": ("停留点数", "stops"),
    "events": ("事件数", "events"),
    "warnings": ("预警数", "warnings"),
    "frauds": ("诈骗数", "frauds"),
}
"""What a detail is called; others by their code."""


def deed(detail: Mapping[str, Any]) -> Both | None:
    """What was done, where the record says more than its act.

    Examples
    --------
    >>> deed({"deed": "attempt"}), deed({})
    (('登记劝阻', 'recorded an attempt'), None)
    """
    code = detail.get("deed")
    return None if code is None else DEEDS.get(code, (str(code), str(code)))


def details(detail: Mapping[str, Any]) -> Iterator[tuple[Both, Both]]:
    """Name and value of each other detail; what is empty is left out.

    Examples
    --------
    >>> list(details({"deed": "attempt", "reached": True, "believed": None}))
    [(('联系上', 'reached'), ('是', 'yes'))]
    >>> list(details({"scopes": ["score", "take_in"]}))
    [(('权限范围', 'scopes'), ('score, take_in', 'score, take_in'))]
    """
    for name, value in detail.items():
        if name != "deed" and value is not None:
            yield PARTS.get(name, (name, name)), _written(value)


def _written(value: object) -> Both:
    if isinstance(value, bool):
        return ("是", "yes") if value else ("否", "no")
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text, text
