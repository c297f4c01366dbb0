"""Pages out of templates, in the officer's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from serving.console.assets import Assets
from serving.console.tongues import CODES, Tongue, spoken

__all__ = ["EXTENSIONS", "TEMPLATES", "Pages", "who"]

TEMPLATES = Path(__file__).parent / "templates"
EXTENSIONS = ("jinja2.ext.i18n",)


def who(_: Request) -> str | None:
    """Name of the officer who asks, for the page's head; None: nobody has signed in."""
    return None


@dataclass(frozen=True)
class Pages:
    """Every page of the console.

    Parameters
    ----------
    assets : Assets
    environments : mapping of a language's code to Environment
    """

    assets: Assets
    environments: Mapping[str, Environment]

    @classmethod
    def of(cls, assets: Assets) -> "Pages":
        """The pages of `TEMPLATES` in each language."""
        return cls(assets, {code: _environment(assets, Tongue(code)) for code in CODES})

    def page(
        self,
        request: Request,
        name: str,
        told: Mapping[str, Any],
        *,
        status: int = 200,
    ) -> Response:
        """Answer with a page.

        Parameters
        ----------
        request : Request
        name : str
            File of the template.
        told : mapping
            What it is told, beside its own name, who asks, where, and the language.
        status : int
            Of the answer.
        """
        if not self.assets.built:
            name, told, status = "unbuilt.html", {}, 503
        template = self.environments[spoken(request).code].get_template(name)
        own = {"page": Path(name).stem, "who": who(request), "here": _here(request)}
        text = template.render({**told, **own})
        return HTMLResponse(text, status)


def _here(request: Request) -> str:
    """Where the language switch comes back to: here, or to the page whose form was answered."""
    if request.method != "GET":
        return "/console/map"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def _environment(assets: Assets, tongue: Tongue) -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=list(EXTENSIONS),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    translations = tongue.translations()
    made.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(asset=assets.path, tongue=tongue)
    made.filters.update(short=_short, percent=_percent)
    return made


def _short(value: float) -> str:
    """Two figures that count: expected incidents are no surer than that.

    Examples
    --------
    >>> _short(0.0342), _short(1), _short(12.6), _short(132), _short(0.0000321)
    ('0.034', '1.0', '13', '130', '0.000032')
    """
    return format(Decimal(f"{value:#.2g}"), "f")


def _percent(share: float) -> str:
    """A share of one, in percent.

    Examples
    --------
    >>> _percent(0.005), _percent(0.4637)
    ('0.5%', '46%')
    """
    return f"{100 * share:.2g}%"
