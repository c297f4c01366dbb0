"""Rules beside the model: kept, tested against history, signed by a second person, then live.

`models.rules` says what a rule is and does; this keeps rules and lists, tells workers which are
live, and counts what they matched. A model learns and is published as a bundle; a rule is written
by somebody, and stands with that name.
"""

from serving.rules.book import Book
from serving.rules.standing import Standing

__all__ = ["Book", "Standing"]
