"""Where rules and lists are asked about: each deed in its turn, a test in a process of its own."""

from dataclasses import dataclass

from data.pseudonyms import Pseudonymiser
from serving.access.roles import Actor
from serving.cases.room import CaseRoom
from serving.rules import life, lists, shown
from serving.rules.contracts import (
    EntryAnswer,
    EntryBody,
    KeyBody,
    ListAnswer,
    RuleAnswer,
    RuleBody,
    RuleList,
    VersionBody,
)
from serving.rules.trial import Trials

__all__ = ["RuleDesk"]


@dataclass(frozen=True)
class RuleDesk:
    """Rules and lists for people and systems, the API and the console alike.

    Parameters
    ----------
    room : CaseRoom
        Gives each request its turn.
    pseudonymiser : Pseudonymiser
        Of numbers for lists.
    trials : Trials
        Tests rules.
    """

    room: CaseRoom
    pseudonymiser: Pseudonymiser
    trials: Trials

    async def close(self) -> None:
        """End a test that runs."""
        await self.trials.close()

    async def rules(self, actor: Actor) -> RuleList:
        """Every version of every rule, with its test and its counts."""
        async with self.room.turn(actor) as turn:
            life.manage(turn)
            return await shown.all_rules(turn.connection, turn.now)

    async def draft(self, actor: Actor, body: RuleBody) -> RuleAnswer:
        """See `life.draft`."""
        async with self.room.turn(actor) as turn:
            return await life.draft(turn, body)

    async def test(self, actor: Actor, name: str, body: VersionBody) -> RuleAnswer:
        """Begin a test of a version against history; the list of rules shows what it finds."""
        async with self.room.turn(actor) as turn:
            answer, fresh = await life.ask_test(turn, name, body)
            if fresh:
                self.trials.start(actor, name, body.version)
            return answer

    async def go_live(self, actor: Actor, name: str, body: VersionBody) -> RuleAnswer:
        """See `life.go_live`."""
        async with self.room.turn(actor) as turn:
            return await life.go_live(turn, name, body)

    async def retire(self, actor: Actor, name: str, body: VersionBody) -> RuleAnswer:
        """See `life.retire`."""
        async with self.room.turn(actor) as turn:
            return await life.retire(turn, name, body)

    async def one_list(self, actor: Actor, name: str) -> ListAnswer:
        """Who is on a list, with counts."""
        async with self.room.turn(actor) as turn:
            life.manage(turn)
            return await shown.one_list(turn.connection, name, turn.now)

    async def add(self, actor: Actor, name: str, body: EntryBody) -> EntryAnswer:
        """See `lists.add_entry`."""
        async with self.room.turn(actor) as turn:
            return await lists.add_entry(turn, name, body, self.pseudonymiser)

    async def entry_live(
        self, actor: Actor, name: str, entry_id: str, body: KeyBody
    ) -> EntryAnswer:
        """See `lists.go_live`."""
        async with self.room.turn(actor) as turn:
            return await lists.go_live(turn, name, entry_id, body)

    async def remove(self, actor: Actor, name: str, entry_id: str, body: KeyBody) -> EntryAnswer:
        """See `lists.remove_entry`."""
        async with self.room.turn(actor) as turn:
            return await lists.remove_entry(turn, name, entry_id, body)
