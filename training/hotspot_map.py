"""A shift's map as a picture, PNG or SVG: expected incidents, what is not stable, the plan.

North is up; the projection is the grid's own, so that distances are metres. Nothing of a person is
drawn, nor an incident: cells, stations and ways only.

References
----------
Brewer, "YlOrBr" (colorbrewer2.org): sequential, safe for colour-blind readers and in print.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import cycle, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from features.grid import Grid
from models.patrol_inputs import Station
from models.patrol_plan import Beat, Plan
from models.surface import Layer, Surface

__all__ = ["MapError", "Picture", "check_picture", "draw_map"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIZE = (8.0, 8.6)  # inches
NUMBERED_IN = 0.115  # side of a cell in which a stop's number has room, inches
LARGEST = 2.0  # times the usual size, where a plan's numbers need it
DPI = 150
MOST_PIXELS = 2_000  # of the city's shape, each way
MARGIN = 0.08  # around what is shown
LEAST_M = 2_000.0  # width of a map with a single cell
LATIN = "DejaVu Sans"  # comes with matplotlib
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP")
CITY, GREY, HATCH = "#ececec", "#d0d0d0", "#6f6f6f"
# dark enough for white numbers, none of them near the colours of the heat
COLOURS = (
    *("#0b3c8c", "#c2185b", "#00796b", "#212121"),
    *("#7b3fb5", "#0288d1", "#5b7d1e", "#6b7280"),
)
ROUTES = tuple(product(("-", (0, (4, 1.5))), COLOURS))  # those that can be told apart
STATION: dict[str, Any] = {"ls": "", "marker": "^", "ms": 9, "color": "white", "mec": "black"}
STOP: dict[str, Any] = {"ls": "", "marker": "$1$", "ms": 6, "color": "black"}
HEAT = LinearSegmentedColormap.from_list(
    "heat", mpl.colormaps["YlOrBr"](np.linspace(0.3, 1.0, 256))
)
WORDS = {
    "zh": {
        "title": "{day} {shift} 班次风险图 · {category}",
        "plan": "{day} {shift} 班次巡逻方案 · {category}",
        "all": "全部类别",
        "known": "依据 {as_of}（{zone}）之前已知的市民报案 · 面积前 {coverage} · 模型 {model}",
        "expected": "本班次预计案件数（起）",
        "grey": "名次随网格画法而变：不单独据此派警",
        "city": "其余网格",
        "station": "驻点",
        "stop": "停留点，数字为先后次序",
        "route": "{unit}号巡逻组（停留 {stops} 处）",
        "note": "只画地点：图上没有任何人、住址或单起案件；颜色是预计数，不是已发生数。",
        "km": "{km:g} 公里",
        "north": "北",
    },
    "en": {
        "title": "Risk map of {day}, shift {shift} · {category}",
        "plan": "Patrol plan of {day}, shift {shift} · {category}",
        "all": "all categories",
        "known": "citizens' reports known before {as_of} ({zone}) · top {coverage} of the area "
        "· model {model}",
        "expected": "incidents expected in the shift",
        "grey": "rank depends on how the grid is laid: never on its own",
        "city": "the city's other cells",
        "station": "station",
        "stop": "stop, numbered in order",
        "route": "unit {unit}, {stops} stops",
        "note": "Places only: no person, address or single incident is drawn; colours are what is "
        "expected, not what happened.",
        "km": "{km:g} km",
        "north": "N",
    },
}
UNWRITTEN = "Noto Sans CJK is not installed: {what}; install the fonts (package fonts-noto-cjk)"


class MapError(ValueError):
    """A picture that cannot be drawn as asked."""


@dataclass(frozen=True)
class Picture:
    """A drawn map.

    Attributes
    ----------
    path : Path
    lang : str
        Language it is in: English where Chinese was asked for and no font can write it.
    cells, grey : int
        How many cells are shown, and how many of them are not stable.
    note : str
        What is not as it was asked for; empty when all is.
    """

    path: Path
    lang: str
    cells: int
    grey: int
    note: str = ""


def draw_map(  # noqa: PLR0913 - what a picture may differ in
    surface: Surface,
    shift: int,
    path: Path,
    *,
    category: str | None = None,
    coverage: float = 0.02,
    plan: Plan | None = None,
    lang: str = "zh",
) -> Picture:
    """Draw the top of a shift's list.

    Parameters
    ----------
    surface : Surface
    shift : int
        Position of the shift.
    path : Path
        Ends in ``.png`` or ``.svg``; its folder is made where absent.
    category : str, optional
        By default all together.
    coverage : float
        Share of the area to colour.
    plan : Plan, optional
        Its stations and routes are drawn on top.
    lang : str
        ``zh`` or ``en``.

    Raises
    ------
    MapError
        If the language or the kind of file is another.
    SurfaceError
        If there is no such shift, category or coverage.
    """
    check_picture(path, lang)
    layer = surface.layer(shift, category)
    said, writer = _Writer.for_language(lang)
    chosen = layer.top(coverage)
    grey = chosen[~layer.stable(coverage)[chosen]]
    with mpl.rc_context({"font.family": writer.fonts, "svg.hashsalt": "forewarn"}):
        sheet = _Sheet(surface.grid, said, writer)
        sheet.city()
        sheet.heat(layer, chosen[layer.stable(coverage)[chosen]], chosen)
        sheet.unsure(grey)
        if plan is not None:
            sheet.plan(plan)
        sheet.frame(chosen)
        sheet.titles(surface, shift, category, coverage)
        sheet.save(path)
    return Picture(path, said, len(chosen), len(grey), writer.note)


def check_picture(path: Path, lang: str) -> None:
    """Refuse a language or a kind of file that cannot be drawn, with `MapError`."""
    if lang not in WORDS:
        raise MapError(f"expected zh or en, found {lang!r}; choose one of them")
    if path.suffix not in {".png", ".svg"}:
        raise MapError(f"expected a file that ends in .png or .svg, found {path.name!r}; rename it")


class _Writer:
    """Writes only what some font has a shape for."""

    def __init__(self, fonts: Sequence[str], note: str = "") -> None:
        self.fonts = list(fonts)
        self.note = note

    @classmethod
    def for_language(cls, lang: str) -> tuple[str, "_Writer"]:
        """The language it will be in, and who writes it."""
        chinese = _chinese()
        if chinese is not None:
            return lang, cls([LATIN, chinese])
        note = UNWRITTEN.format(what="the map is in English") if lang == "zh" else ""
        return "en", cls([LATIN], note)

    def __call__(self, text: str) -> str:
        """The text, a character without a shape as a question mark."""
        shapes = _shapes(tuple(self.fonts))
        found = "".join(one if ord(one) in shapes else "?" for one in text)
        if found != text and not self.note:
            self.note = UNWRITTEN.format(what="some characters are question marks")
        return found


def _chinese() -> str | None:
    """A font for Chinese; one installed since matplotlib looked last is found as well."""
    for name in CHINESE:
        if name in font_manager.get_font_names():
            return name
    for file in font_manager.findSystemFonts():
        if Path(file).name.startswith("NotoSansCJK-Regular"):
            font_manager.fontManager.addfont(file)
    return next((name for name in CHINESE if name in font_manager.get_font_names()), None)


@cache
def _shapes(fonts: tuple[str, ...]) -> frozenset[int]:
    """Characters that some of the fonts can write."""
    files = (font_manager.findfont(name, fallback_to_default=False) for name in fonts)
    return frozenset().union(*(font_manager.get_font(file).get_charmap() for file in files))


class _Sheet:
    """A drawing in progress, in metres of the grid's projection."""

    def __init__(self, grid: Grid, lang: str, write: _Writer) -> None:
        self.grid = grid
        self.words = WORDS[lang]
        self.write = write
        self.figure = Figure(figsize=SIZE, layout="constrained")
        self.axes = self.figure.subplots()
        self.axes.set_aspect("equal")
        self.axes.set_axis_off()
        self.keys: list[Any] = []
        self.points: list[Floats] = []
        self.heading = "title"

    def city(self) -> None:
        """All cells, pale, as one picture however many there are."""
        column, row = self.grid.columns, self.grid.rows
        west, south = int(column.min()), int(row.min())
        width, height = int(column.max()) - west + 1, int(row.max()) - south + 1
        step = math.ceil(max(width, height) / MOST_PIXELS)
        mask = np.full((-(-height // step), -(-width // step)), np.nan)
        mask[(row - south) // step, (column - west) // step] = 0.0
        size = self.grid.size_m
        east, north = west + mask.shape[1] * step, south + mask.shape[0] * step
        turned = Affine2D().rotate_deg(self.grid.rotation_deg).translate(*self.grid.offset_m)
        self.axes.imshow(
            mask,
            cmap=LinearSegmentedColormap.from_list("city", [CITY, CITY]),
            origin="lower",
            interpolation="nearest",
            extent=(west * size, east * size, south * size, north * size),
            transform=turned + self.axes.transData,
        )
        self.keys.append(Patch(facecolor=CITY, label=self.write(self.words["city"])))

    def heat(self, layer: Layer, sure: Ints, shown: Ints) -> None:
        """Stable cells by what is expected in them."""
        norm = _norm(layer.expected[shown])
        cells = PolyCollection(
            list(self._squares(sure)), cmap=HEAT, norm=norm, edgecolor="white", linewidth=0.15
        )
        cells.set_array(layer.expected[sure])
        self.axes.add_collection(cells)
        bar = self.figure.colorbar(
            cells, ax=self.axes, orientation="horizontal", shrink=0.6, aspect=40, pad=0.01
        )
        if isinstance(norm, LogNorm):
            ticks = _steps(norm)
            bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
            bar.minorticks_off()
        bar.set_label(self.write(self.words["expected"]))

    def unsure(self, cells: Ints) -> None:
        """Cells whose place is not stable: grey and hatched, whatever is expected."""
        style: dict[str, Any] = {
            "facecolor": GREY,
            "edgecolor": HATCH,
            "hatch": "//////",
            "linewidth": 0.3,
        }
        self.axes.add_collection(PolyCollection(list(self._squares(cells)), **style))
        self.keys.append(Patch(label=self.write(self.words["grey"]), **style))

    def plan(self, plan: Plan) -> None:
        """Stations and the way of each unit, its stops numbered."""
        self.heading = "plan"
        for name, style in (("station", STATION), ("stop", STOP)):
            self.keys.append(Line2D([], [], **style, label=self.write(self.words[name])))
        for beat, (line, colour) in zip(plan.beats, cycle(ROUTES), strict=False):
            self._beat(beat, line, colour)
        for station in dict.fromkeys(beat.station for beat in plan.beats):
            self._station(station)

    def _beat(self, beat: Beat, line: Any, colour: str) -> None:
        x, y = self.grid.centres_m()
        stops = [np.array([x[stop.cell], y[stop.cell]]) for stop in beat.stops]
        if stops:
            home = self._home(beat.station)
            way = np.array([home, *stops, *([home] if beat.returns else [])])
            self.points.append(way)
            self.axes.plot(*way.T, color=colour, ls=line, lw=1.2, alpha=0.85, zorder=4)
        for number, stop in enumerate(stops, start=1):
            self._number(stop, number, colour)
        if beat.unit <= len(ROUTES):
            words = self.words["route"].format(unit=beat.unit, stops=len(stops))
            self.keys.append(Line2D([], [], color=colour, ls=line, lw=1.4, label=self.write(words)))

    def _number(self, place: Floats, number: int, colour: str) -> None:
        self.axes.annotate(
            str(number),
            xy=(float(place[0]), float(place[1])),
            fontsize=5,
            color="white",
            ha="center",
            va="center",
            zorder=5,
            bbox={"boxstyle": "circle,pad=0.1", "fc": colour, "ec": "white", "lw": 0.5},
        )

    def _station(self, station: Station) -> None:
        home = self._home(station)
        self.points.append(home[None])
        self.axes.plot(*home, **STATION, zorder=6)
        self.axes.annotate(
            self.write(station.name),
            xy=(float(home[0]), float(home[1])),
            xytext=(0, 8),
            textcoords="offset points",
            fontsize=7,
            ha="center",
            va="bottom",
            zorder=7,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
        )

    def _home(self, station: Station) -> Floats:
        return np.concatenate(self.grid.metres([station.lon], [station.lat]))

    def frame(self, shown: Ints) -> None:
        """Cut the sheet around what is shown; scale bar and north."""
        corners = np.concatenate([*self._squares(shown), *self.points])
        low, high = corners.min(axis=0), corners.max(axis=0)
        half = max(float((high - low).max()) * (0.5 + MARGIN), LEAST_M / 2)
        middle = (low + high) / 2
        spread = np.maximum((high - low) * (0.5 + MARGIN), half * 0.6)
        if self.points:
            cells = 2 * float(spread.max()) / self.grid.size_m
            times = min(max(cells * NUMBERED_IN / SIZE[0], 1.0), LARGEST)
            self.figure.set_size_inches(SIZE[0] * times, SIZE[1] * times)
        self.axes.set_xlim(middle[0] - spread[0], middle[0] + spread[0])
        self.axes.set_ylim(middle[1] - spread[1], middle[1] + spread[1])
        self._scale(2 * float(spread[0]))
        self.axes.annotate(
            self.write(self.words["north"]),
            xy=(0.97, 0.985),
            xytext=(0.97, 0.91),
            xycoords="axes fraction",
            ha="center",
            va="top",
            arrowprops={"arrowstyle": "-|>", "color": "black"},
        )

    def titles(self, surface: Surface, shift: int, category: str | None, coverage: float) -> None:
        """Which map this is, what went in, and what is not shown."""
        facts = {
            "day": surface.day.isoformat(),
            "shift": surface.shifts.names[shift],
            "category": category or self.words["all"],
            "as_of": _local(surface.as_of, surface.shifts.zone),
            "zone": surface.shifts.zone,
            "coverage": f"{coverage * 100:g} %",
            "model": surface.model[:16],
        }
        self.figure.suptitle(self.write(self.words[self.heading].format(**facts)), fontsize=14)
        self.axes.set_title(self.write(self.words["known"].format(**facts)), fontsize=8)
        self.figure.legend(
            handles=self.keys,
            loc="outside lower center",
            ncols=2 if len(self.keys) < 5 else 3,
            fontsize=8,
            title=self.write(self.words["note"]),
            title_fontsize=8,
            frameon=False,
        )

    def save(self, path: Path) -> None:
        """Write the file; the same map is the same bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        dated = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        self.figure.savefig(path, dpi=DPI, metadata=dated)

    def _squares(self, cells: Ints) -> Iterator[Floats]:
        """Corners of cells in metres, shape (4, 2) each."""
        grid = self.grid
        angle = np.deg2rad(grid.rotation_deg)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        place = np.column_stack([grid.columns[cells], grid.rows[cells]])
        yield from ((place[:, None] + corner) * grid.size_m) @ turn + grid.offset_m

    def _scale(self, width_m: float) -> None:
        length = _round_below(width_m / 4)
        left, right = self.axes.get_xlim()
        bottom, top = self.axes.get_ylim()
        x, y = left + 0.03 * (right - left), bottom + 0.02 * (top - bottom)
        thick = 0.006 * (top - bottom)
        for part, colour in enumerate(("black", "white")):
            box = Rectangle(
                (x + part * length / 2, y), length / 2, thick, fc=colour, ec="black", lw=0.6
            )
            self.axes.add_patch(box)
        words = self.words["km"].format(km=length / 1_000)
        self.axes.text(x + length / 2, y + 2 * thick, self.write(words), ha="center", fontsize=8)


def _norm(expected: Floats) -> Normalize:
    """Even steps, or equal ratios where the highest is ten times the lowest shown."""
    low, high = float(expected.min()), float(expected.max())
    if low <= 0 or high < 10 * low:
        return Normalize(0.0, high or 1.0)
    return LogNorm(low, high)


def _steps(norm: LogNorm) -> list[float]:
    """Values of 1, 2 and 5 times powers of ten that lie within."""
    low, high = norm.vmin or 0.0, norm.vmax or 0.0
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        step * 10.0**power
        for power in powers
        for step in (1, 2, 5)
        if low <= step * 10.0**power <= high
    ]


def _round_below(length_m: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is no longer.

    Examples
    --------
    >>> _round_below(4_200.0), _round_below(980.0)
    (2000.0, 500.0)
    """
    unit = 10.0 ** math.floor(math.log10(length_m))
    return max(step * unit for step in (1, 2, 5) if step * unit <= length_m)


def _local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
