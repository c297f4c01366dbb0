"""An alert as people see it: a card for the terminal, a line for the stream, a page to look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["alert_card", "alert_line", "alert_page"]

PAGE = Path(__file__).parent / "pictures" / "alert.html"
SHOWN = 4  # reasons on a card: what an officer reads in half a minute


def alert_card(decision: Mapping[str, Any]) -> RenderableType:
    """Draw a decision of the service as a card, Chinese first."""
    level = decision["level"]
    head = Text.assemble(
        (f" {level['zh']} {level['en']} ", f"bold white on {level['colour']}"),
        f"  {decision['score']:.1%}  {_guess(decision, 'zh')} · {_guess(decision, 'en')}",
    )
    reasons = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
    reasons.add_column(justify="right", style="dim")
    reasons.add_column(overflow="fold")  # Chinese has no spaces to break a line at
    for reason in decision["reasons"][:SHOWN]:
        reasons.add_row(f"{reason['share']:.0%}", f"{reason['zh']}\n[dim]{reason['en']}[/]")
    advice = f"{decision['advice_zh']}\n[dim]{decision['advice_en']}[/]"
    return Panel(
        Group(head, "", reasons, "", advice),
        title="simulated city · 模拟城市",
        subtitle=f"event {decision['event_id']} · model {decision['model_version'][:12]}",
        border_style=level["colour"],
    )


def alert_line(decision: Mapping[str, Any]) -> Text:
    """Draw a decision as one line of the stream."""
    level = decision["level"]
    first = decision["reasons"][0]["zh"] if decision["reasons"] else ""
    return Text.assemble(
        f"{decision['decided_at'][11:19]} ",
        (f" {level['zh']} ", f"bold white on {level['colour']}"),
        f" {decision['score']:.1%} {_guess(decision, 'zh')} ",
        (first, "dim"),
        overflow="ellipsis",
        no_wrap=True,
    )


def _guess(decision: Mapping[str, Any], language: str) -> str:
    parts = [decision[name][language] for name in ("scam_type", "stage") if decision[name]]
    return ", ".join(parts)


def alert_page(decision: Mapping[str, Any]) -> str:
    """Draw a decision as one self-contained HTML page, for pictures and print."""
    template = Environment(autoescape=True).from_string(PAGE.read_text("utf-8"))
    return template.render(**decision, shown=SHOWN)
