"""What scam types and stages are called on an officer's screen, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["SCAM_TYPES", "STAGES"]

SCAM_TYPES: Mapping[str, tuple[str, str]] = {
    "rebate": ("刷单返利", "fake-order rebate"),
    "investment": ("虚假网络投资理财", "fake investment"),
    "shopping": ("虚假购物服务", "fake shopping"),
    "logistics": ("冒充电商物流客服", "fake e-commerce or courier service"),
    "loan": ("虚假贷款", "fake loan"),
    "credit": ("虚假征信", "fake credit record"),
    "acquaintance": ("冒充领导熟人", "fake boss or acquaintance"),
    "authority": ("冒充公检法及政府机关", "fake police or government"),
    "romance": ("网络婚恋交友", "romance"),
    "game": ("网络游戏产品虚假交易", "game trade"),
    "other": ("其他", "other"),
}
"""The Ministry of Public Security's ten types (2023), and the rest."""

STAGES: Mapping[str, tuple[str, str]] = {
    "contact": ("初步接触", "contact"),
    "engaged": ("深度接触", "engaged"),
    "paying": ("正在转账", "paying"),
}
