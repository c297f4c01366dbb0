"""How far it has gone: contact, engaged or paying decides who must act and how soon."""

from typing import ClassVar

from models.classes import ClassModel

__all__ = ["StageModel"]


class StageModel(ClassModel):
    """Probabilities over the stages of a victim.

    References
    ----------
    China Mobile's shallow, middle and deep victims (2016), as DOMAIN.md tells them.

    Examples
    --------
    >>> StageModel.labels
    ('contact', 'engaged', 'paying')
    """

    labels: ClassVar[tuple[str, ...]] = ("contact", "engaged", "paying")
