"""The cross-entity feature: people whom one counterpart reached and who then paid one payee.

Definition, the same in both engines:

* A subscriber keeps a ring of the last `RING` distinct counterparts that reached it (answered
  calls, messages, app installs, remote control, screen sharing) and are not habitual: unseen
  before, or first seen at most `HABITUAL_DAYS` ago. One that comes again moves to the end.
* A transfer's *members* are those of the ring that reached the subscriber at most 24 hours ago.
* For each member and the payee, a link keeps the first `KNOWN_PAYERS` distinct subscribers who
  paid that payee after that member had reached them. ``others`` is how many there are besides
  oneself.
* A transfer to a payee that is not habitual to the subscriber joins its links, and gives each
  member one *follower*, and one *shared follower* if the link already had others. Both are
  distinct subscribers over windows, never counting the one who reads.
* A link idle for 30 days starts anew, as every key does.

The sizes bound the work and the state of one event; they are part of the definition, not a limit of
a fetch.
"""

from typing import Final

from features.periods import DAY_S, MICROSECOND

__all__ = ["HABITUAL_US", "KNOWN_PAYERS", "MEMBER_US", "RING"]

RING: Final = 8
KNOWN_PAYERS: Final = 8
HABITUAL_DAYS = 7
HABITUAL_US: Final = HABITUAL_DAYS * DAY_S * MICROSECOND
MEMBER_US: Final = DAY_S * MICROSECOND
