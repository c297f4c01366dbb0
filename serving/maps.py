"""Where the stored risk surfaces lie: one folder a day, opened when asked for, the last few kept.

A surface that was written anew is noticed by its files and opened again: a new map needs no
restart.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from data.districts import Districts
from data.settings import Settings
from models.surface import PAGE, TABLE, Surface, SurfaceError
from serving.map_of_day import MapOfDay, Stamp
from serving.problems import Problem

__all__ = ["Maps"]


class Maps:
    """The surfaces of a deployment.

    Parameters
    ----------
    folder : Path
        Holds a folder ``YYYY-MM-DD`` for each day; it may be absent.
    kept : int
        How many surfaces stay open; a big city's takes some 100 MB.
    districts : Path, optional
        File of the city's districts, read once, here.

    Raises
    ------
    DistrictError
        If there is such a file and it cannot be used.
    """

    def __init__(self, folder: Path, *, kept: int = 3, districts: Path | None = None) -> None:
        self.folder = folder
        self.districts_file = districts
        self.districts = Districts.load(districts) if districts else None
        self._kept = kept
        self._open: OrderedDict[date, MapOfDay] = OrderedDict()
        self._turn = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Maps":
        """The maps of a deployment.

        Raises
        ------
        DistrictError
            If the file of districts that is set cannot be used.
        """
        return cls(settings.var / "hotspots", districts=settings.districts)

    def newest(self) -> date:
        """The latest day that has a map.

        Raises
        ------
        Problem
            If there is none at all.
        """
        found = max(self._days(), default=None)
        if found is None:
            raise Problem("no-map", "no map is stored yet")
        return found

    def day(self, day: date | None) -> MapOfDay:
        """The map of a day, by default of the newest; call it in a thread, files are read.

        Raises
        ------
        Problem
            If there is none, or it cannot be read.
        """
        chosen = day or self.newest()
        with self._turn:
            found = self._fresh(chosen)
            self._open[chosen] = found
            self._open.move_to_end(chosen)
            while len(self._open) > self._kept:
                self._open.popitem(last=False)
        return found

    def require(self, day: date | None) -> None:
        """Look whether a day has a map, without opening it.

        Raises
        ------
        Problem
            If it has none.
        """
        self._stamp(day or self.newest())

    def _days(self) -> Iterator[date]:
        for page in self.folder.glob(f"[0-9]*/{PAGE}"):
            try:
                yield date.fromisoformat(page.parent.name)
            except ValueError:
                continue  # somebody's own folder

    def _fresh(self, day: date) -> MapOfDay:
        """What is open already, if it is what lies there now."""
        stamp = self._stamp(day)  # taken first: what is written meanwhile is noticed next time
        known = self._open.get(day)
        if known is not None and known.stamp == stamp:
            return known
        return MapOfDay(self._read(day), stamp, self.districts)

    def _stamp(self, day: date) -> Stamp:
        try:
            files = [(self.folder / day.isoformat() / name).stat() for name in (TABLE, PAGE)]
        except OSError:
            self._open.pop(day, None)
            raise Problem("no-map", "no map of this day is stored") from None
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in files)

    def _read(self, day: date) -> Surface:
        try:
            surface = Surface.load(self.folder / day.isoformat())
        except SurfaceError as error:
            raise Problem("no-map", str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise Problem("no-map", "the map of this day is damaged") from error
        if surface.day != day:
            raise Problem("no-map", "the folder of this day holds the map of another")
        return surface
