"""Pages out of templates, in the officer's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from serving.access.csrf import csrf_token
from serving.access.roles import ROLES, Action, Actor
from serving.console.assets import Assets
from serving.console.tongues import CODES, Tongue, spoken

__all__ = ["EXTENSIONS", "FIRST", "TEMPLATES", "Pages", "who", "within"]

FIRST = "/console/"
"""Where the page of one's role is found."""

TEMPLATES = Path(__file__).parent / "templates"
EXTENSIONS = ("jinja2.ext.i18n",)


def who(request: Request) -> Actor | None:
    """Who asks, as the gate has it; None on a page that anybody may see."""
    actor: Actor | None = request.scope.get("state", {}).get("actor")
    return actor


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
            What it is told, beside its own name, who asks (`actor`, `may`), the token that its
            forms bring back (`csrf`), where, and the language.
        status : int
            Of the answer.
        """
        if not self.assets.built:
            name, told, status = "unbuilt.html", {}, 503
        template = self.environments[spoken(request).code].get_template(name)
        own = {"page": Path(name).stem, "here": _here(request), "notice": _notice(request)}
        text = template.render({**own, **_asker(request), **told})
        return HTMLResponse(text, status)


def within(back: str) -> str:
    r"""An address of the console, whatever was sent.

    Examples
    --------
    >>> within("/console/map?shift=1"), within("//elsewhere"), within("/console/\\elsewhere")
    ('/console/map?shift=1', '/console/', '/console/')
    """
    inside = back.startswith("/console/") and back.isascii() and back.isprintable()
    return back if inside and "\\" not in back and "//" not in back else FIRST


def _notice(request: Request) -> str:
    """What the deployment wants said on every page."""
    state = getattr(request.scope.get("app"), "state", None)
    return getattr(state, "notice", "")


def _asker(request: Request) -> dict[str, Any]:
    actor = who(request)
    token = request.scope.get("state", {}).get("token")

    def may(action: str) -> bool:
        return actor is not None and actor.may(Action(action))

    role = ROLES[actor.role] if actor else ("", "")
    return {"actor": actor, "role": role, "may": may, "csrf": csrf_token(token) if token else ""}


def _here(request: Request) -> str:
    """Where the language switch comes back to: here, or to the page whose form was answered."""
    if request.method != "GET":
        asked = urlsplit(request.headers.get("referer", ""))
        return within(f"{asked.path}?{asked.query}" if asked.query else asked.path)
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
    >>> _percent(0.005), _percent(0.4637), _percent(1.0)
    ('0.5%', '46%', '100%')
    """
    return f"{Decimal(f'{100 * share:.2g}'):f}%"
