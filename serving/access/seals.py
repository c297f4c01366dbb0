"""Seals of the audit log: what its last record was at a moment, witnessed outside the database.

Without one, whoever may delete rows cuts the newest records off and nothing shows: what is left is
a sound chain. A seal names the last record and is authenticated under a key the database does not
hold, so a log that ends before its newest seal was cut. What came after that seal can still go
unseen: seal often, and keep a copy of the file where the database's administrators cannot write.
"""

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.pseudonyms import Pseudonymiser
from data.settings import Settings
from serving.access.audit import Head

__all__ = ["SealError", "Seals"]

CONTEXT = b"forewarn audit seal 1\n"  # no digest made under the same key for another end is a seal


class SealError(ValueError):
    """The file of seals is not as it was written."""


@dataclass(frozen=True)
class Seals:
    """A file of seals, a line each, appended to.

    Parameters
    ----------
    path : Path
        Best a place that only takes additions.
    names : Pseudonymiser
        Its key, which the database does not hold, authenticates them.
    """

    path: Path
    names: Pseudonymiser

    @classmethod
    def of(cls, settings: Settings) -> "Seals":
        """A deployment's: ``audit/seals.jsonl`` under its folder."""
        return cls(settings.var / "audit" / "seals.jsonl", Pseudonymiser.from_settings(settings))

    def add(self, head: Head, at: datetime) -> None:
        """Witness that the log's last record was this one at that moment; on disk on return."""
        content = {"seq": head.seq, "hash": head.hash, "at": at.astimezone(UTC).isoformat()}
        line = json.dumps({**content, "mac": self._mac(content)})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="ascii") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())

    def heads(self) -> list[Head]:
        """What was witnessed, oldest first; nothing if there is no file yet.

        Raises
        ------
        SealError
            If a line was changed, or sealed under another key.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [self._read(number, line) for number, line in enumerate(lines, 1)]

    def _read(self, number: int, line: str) -> Head:
        try:
            found = json.loads(line)
            mac = str(found.pop("mac"))
            if hmac.compare_digest(mac.encode(), self._mac(found).encode()):
                return Head(found["seq"], found["hash"])
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise SealError(
            f"expected line {number} of {self.path.name} to be sealed under this deployment's key, "
            "found another; fix: take the copy of the file kept elsewhere, or set the key it was "
            "written under"
        )

    def _mac(self, content: Mapping[str, Any]) -> str:
        text = json.dumps(dict(content), sort_keys=True, separators=(",", ":"))
        return self.names.digest(CONTEXT + text.encode()).hex()
