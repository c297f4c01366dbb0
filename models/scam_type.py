"""Which of the ten official scam types, or another, is played on this citizen."""

from typing import ClassVar

from data.events import ScamType
from models.classes import ClassModel

__all__ = ["ScamTypeModel"]


class ScamTypeModel(ClassModel):
    """Probabilities over the Ministry of Public Security's ten types and ``other``.

    Examples
    --------
    >>> ScamTypeModel.labels[0], ScamTypeModel.code("other")
    ('rebate', 10)
    """

    labels: ClassVar[tuple[str, ...]] = tuple(kind.value for kind in ScamType)
