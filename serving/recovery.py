"""Feature state from the truth: Valkey is rebuilt from history and log when it is not up to it."""

import time
from collections.abc import Callable

import pyarrow as pa
import valkey
from sqlalchemy import Connection, func, select

from data.database import SERVING, connect, last_seq, read_events
from data.history import History
from data.settings import Settings
from data.tables import in_one_piece
from features import FRAUD_FEATURES
from features.store import LiveStateSync
from serving.state import ANNOUNCED, WHOLE

__all__ = ["history_of", "is_whole", "read_truth", "recover"]

Progress = Callable[[str, float], None]
PAGE = 100_000
RECOVERY = 0x72656276  # advisory lock, any number: "rebv"
IN_FLIGHT = 10_000  # more events than all workers can have in hand
IN_FLIGHT_S = 5.0  # longer than a worker waits for Valkey, and for most of its writes


def history_of(settings: Settings) -> History:
    """The history of this deployment."""
    return History(settings.var / "history")


def is_whole(settings: Settings) -> bool:
    """Whether feature state was brought up to the truth since Valkey started.

    Raises
    ------
    valkey.exceptions.ConnectionError
        If Valkey does not answer.
    """
    client = valkey.Valkey.from_url(settings.valkey_url or "", socket_timeout=2)
    try:
        return bool(client.exists(WHOLE))
    finally:
        client.close()  # type: ignore[no-untyped-call]


def recover(settings: Settings, *, progress: Progress) -> int:
    """Rebuild feature state if it lacks events of the truth, or holds some the truth lacks.

    The second kind is left by workers that were killed together with Valkey's note of what they
    were about to show it. While others serve, such an event may be on its way: it is left alone.

    Returns
    -------
    int
        How many events it was rebuilt from; 0 when it was up to date.
    """
    engine = connect(settings.database_url or "")
    client = valkey.Valkey.from_url(settings.valkey_url or "")
    try:
        with engine.connect() as connection:
            connection.execute(select(func.pg_advisory_lock(RECOVERY)))
            return _recovered(_Work(settings, connection, client, progress))
    finally:
        client.close()  # type: ignore[no-untyped-call]
        engine.dispose()


def read_truth(history: History, connection: Connection) -> pa.Table:
    """Everything recorded, history and log, in order of arrival."""
    tables = [history.read()]
    after = history.next_seq - 1
    while (page := read_events(connection, after=after, limit=PAGE)).num_rows:
        tables.append(page)
        after = page["seq"][-1].as_py()
    return in_one_piece(tables)


class _Work:
    """One recovery: where from, where to, whom to tell."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        client: "valkey.Valkey",
        progress: Progress,
    ) -> None:
        self.history = history_of(settings)
        self.connection = connection
        self.client = client
        self.progress = progress
        self.state = LiveStateSync(client, FRAUD_FEATURES, settings.zone)

    def alone(self) -> bool:
        """Whether no worker serves."""
        mine = self.connection.scalar(select(func.pg_try_advisory_lock(SERVING)))
        if mine:
            self.connection.execute(select(func.pg_advisory_unlock(SERVING)))
        return bool(mine)

    def last(self) -> int:
        """The last number of the truth."""
        return max(self.history.next_seq - 1, last_seq(self.connection))

    def rebuilt(self) -> int:
        """Replace the state by what follows from the truth; the number of events."""
        table = read_truth(self.history, self.connection)
        self.state.rebuild(table)
        self.number_on(table["seq"][-1].as_py() if table.num_rows else -1)
        return int(table.num_rows)

    def number_on(self, seq: int) -> None:
        """Let the next event bear the number after `seq`: gaps in the truth do not close up."""
        clock = f"{self.state.codec.prefix}clock"
        found = self.client.get(clock)
        now = bytes(found).split()[1] if isinstance(found, bytes) else b"0"
        self.client.set(clock, b"%d %s" % (seq, now))


def _recovered(work: _Work) -> int:
    alone = work.alone()
    last = work.last()  # before the position: what is observed in between must not look like a gap
    position = work.state.position()
    whole = bool(work.client.exists(WHOLE))
    if whole and (position == last or (position > last and not alone)):
        return 0
    work.progress("rebuilding feature state from history and log", 0.2)
    work.client.delete(WHOLE)
    if not alone:
        time.sleep(IN_FLIGHT_S)
    rows = work.rebuilt()
    while work.last() != work.state.position():  # something on its way reached the log meanwhile
        rows = work.rebuilt()
    if not alone:  # a write that hangs all the while must not find its number taken
        work.number_on(work.state.position() + IN_FLIGHT)
    work.client.delete(ANNOUNCED)
    work.client.set(WHOLE, 1)
    return rows
