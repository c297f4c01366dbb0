"""Windows over tiles: how far back, in which steps, and how late.

A window of length ``W`` with tiles of length ``T``, read at ``now``, covers the tiles with index
above ``floor(now / T) - W / T - 1``: the current tile, cut exactly at ``now``, and ``W / T`` full
ones. Its tail is therefore rounded down to a tile's edge: it sees at most ``T`` too much and never
too little. A lagged window is the difference of two such windows over the same tiles, so both of
its ends lie on tile edges.

References
----------
Chronon (Airbnb), "sawtooth" windows: https://chronon.ai/Tiled_Architecture.html
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["DAY_S", "IDLE_DAYS", "LIFE", "MICROSECOND", "WINDOWS", "Window"]

HOUR_S, DAY_S = 3_600, 86_400
MICROSECOND = 1_000_000
"""Microseconds in a second: the engines keep time as integers of them."""
IDLE_DAYS = 30
"""A key untouched for longer (by the tile rule, in days) starts anew: first, last and life go."""
LIFE = "life"
"""Name of the window that never ends while the key is not idle."""


@dataclass(frozen=True)
class Window:
    """A span of time that ends `lag_s` before now.

    Examples
    --------
    >>> WINDOWS["24h"].tiles, WINDOWS["24h"].tile_s
    (24, 3600)
    >>> WINDOWS["7d_lag_7d"].tiles, WINDOWS["7d_lag_7d"].lag_tiles
    (56, 28)
    """

    name: str
    length_s: int
    tile_s: int
    zh: str
    en: str
    lag_s: int = 0

    @property
    def tiles(self) -> int:
        """Full tiles back to the window's far end."""
        return (self.length_s + self.lag_s) // self.tile_s

    @property
    def lag_tiles(self) -> int:
        """Full tiles back to its near end, 0 without a lag."""
        return self.lag_s // self.tile_s


_ALL = (
    Window("1h", HOUR_S, 300, "近1小时", "in the last hour"),
    Window("24h", DAY_S, HOUR_S, "近24小时", "in the last 24 hours"),
    Window("7d", 7 * DAY_S, 6 * HOUR_S, "近7天", "in the last 7 days"),
    Window("30d", 30 * DAY_S, DAY_S, "近30天", "in the last 30 days"),
    Window(
        "24h_lag_7d",
        DAY_S,
        6 * HOUR_S,
        "7天前的24小时",
        "in the 24 hours before the last 7 days",
        7 * DAY_S,
    ),
    Window(
        "7d_lag_7d",
        7 * DAY_S,
        6 * HOUR_S,
        "7天前的7天",
        "in the 7 days before the last 7 days",
        7 * DAY_S,
    ),
    Window(
        "30d_lag_7d",
        30 * DAY_S,
        DAY_S,
        "7天前的30天",
        "in the 30 days before the last 7 days",
        7 * DAY_S,
    ),
)

WINDOWS: Final = {window.name: window for window in _ALL}
"""Every window by name."""
