"""The console's two languages: what a page says in each, and how dates are written.

Every text on a screen stands in a template, in English, which is its id in the catalogue; the
Chinese one stands in ``locales/zh/LC_MESSAGES/console.po``. A test holds that none is missing.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

__all__ = ["CATALOGUE", "CODES", "COOKIE", "Tongue", "spoken"]

CATALOGUE = Path(__file__).parent / "locales" / "zh" / "LC_MESSAGES" / "console.po"
CODES = ("zh", "en")
"""Chinese first."""

COOKIE = "forewarn_tongue"


@dataclass(frozen=True)
class Tongue:
    """A language a page is written in.

    Examples
    --------
    >>> Tongue("en").pick("三天内两起", "two in three days")
    'two in three days'
    >>> Tongue("zh").day(date(2026, 3, 2))
    '2026年3月2日 周一'
    """

    code: str

    @property
    def html(self) -> str:
        """What the attribute ``lang`` says: the script decides which glyphs are taken."""
        return {"zh": "zh-Hans", "en": "en"}[self.code]

    @property
    def other(self) -> "Tongue":
        """The one that the switch leads to."""
        return Tongue(CODES[1 - CODES.index(self.code)])

    def pick(self, zh: str, en: str) -> str:
        """Of a sentence that exists in both, ours."""
        return zh if self.code == "zh" else en

    def day(self, day: date) -> str:
        """A day of the calendar, with its weekday."""
        return format_date(day, self.pick("y年M月d日 EEE", "EEE d MMM y"), locale=self.code)

    def moment(self, moment: datetime) -> str:
        """A moment to the minute, by the clock it carries."""
        return format_datetime(moment, self.pick("M月d日 HH:mm", "d MMM HH:mm"), locale=self.code)

    def translations(self) -> NullTranslations:
        """The catalogue; English needs none."""
        return _chinese() if self.code == "zh" else NullTranslations()


def spoken(request: Request) -> Tongue:
    """The language that the officer chose, else Chinese."""
    chosen = request.cookies.get(COOKIE, "")
    return Tongue(chosen if chosen in CODES else CODES[0])


@cache
def _chinese() -> GNUTranslations:
    # the standard library reads only compiled catalogues; compiled here, none can be stale
    compiled = BytesIO()
    with CATALOGUE.open("rb") as file:
        write_mo(compiled, read_po(file, "zh"))
    compiled.seek(0)
    return GNUTranslations(compiled)
