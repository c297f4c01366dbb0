"""Logs without personal data: what looks like a number or a request's value never gets out.

A validation error repeats the value it refused, a driver's error its parameters. Both are cut
here, at the root of logging, so that no library has to be trusted with it.
"""

import logging
import re
import traceback

__all__ = ["Scrub", "install", "scrubbed"]

_APART = (
    r"\d \t\u00a0\u3000\u2010-\u2015\u2212\uff0d-"  # spaces and dashes, also a Chinese keyboard's
)
_DIGITS = re.compile(
    rf"\+?\d(?:[{_APART}]{{5,}}\d)"
    r"|(?<!\d)\d{3,4}(?:(?:[^\w\n]|_)\d{4}){2,4}(?!\d)"  # in groups, by whatever sign
    r"|[〇零一二三四五六七八九]{7,}"
)
_VALUES = re.compile(r"(input_value|input|parameters)\s*[=:].*", re.IGNORECASE)
_QUOTED = re.compile(r"DETAIL:.*", re.DOTALL)


def scrubbed(text: str) -> str:
    """The text with numbers of seven digits or more, and quoted input, taken out.

    Examples
    --------
    >>> scrubbed("call from +86 139 1234 5678 refused")
    'call from [number] refused'
    >>> scrubbed("x: int [type=int_parsing, input_value='6217000012', input_type=str]")
    'x: int [type=int_parsing, [input]'
    """
    return _DIGITS.sub("[number]", _VALUES.sub("[input]", _QUOTED.sub("DETAIL: [input]", text)))


class Scrub(logging.Filter):
    """A filter that rewrites each record, its arguments and its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = scrubbed(record.getMessage())
        record.args = ()
        if record.exc_info and record.exc_info[1] is not None:
            lines = traceback.format_exception(record.exc_info[1], chain=True)
            record.exc_text = scrubbed("".join(lines))
            record.exc_info = None
        elif record.exc_text:
            record.exc_text = scrubbed(record.exc_text)
        return True


def install() -> None:
    """Put the filter on every handler there is, so that no logger goes round it."""
    known = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for logger in known:
        for handler in logger.handlers:
            if not any(isinstance(each, Scrub) for each in handler.filters):
                handler.addFilter(Scrub())
