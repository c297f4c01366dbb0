"""What an experiment prints: a table for people, then the same figures as one line of JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Result", "print_result"]


@dataclass(frozen=True)
class Result:
    """The outcome of one experiment.

    Parameters
    ----------
    title : str
        What was asked, and whether the data are simulated.
    columns : sequence of str
        Heads of the table.
    rows : sequence of sequence of str
        Cells, already formatted for people.
    figures : mapping
        The same figures as numbers; printed as JSON under the table.
    notes : sequence of str
        Protocol, data and limits, a sentence each.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, Any]
    notes: Sequence[str] = field(default=())


def print_result(result: Result) -> None:
    """Print `result`: table and notes, and as the last line one line of JSON."""
    table = Table(title=result.title, title_justify="left")
    for position, head in enumerate(result.columns):
        table.add_column(head, justify="left" if position == 0 else "right")
    for row in result.rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for note in result.notes:
        console.print(f"  {note}", highlight=False)
    print(json.dumps(dict(result.figures), ensure_ascii=False, allow_nan=False))
