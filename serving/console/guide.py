"""The officers' guide inside the console, from the text that also stands beside the code."""

from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from serving.console.assets import GUIDE_PICTURES, Assets
from serving.console.pages import Pages
from serving.console.tongues import spoken

__all__ = ["GUIDES", "guide_page", "rendered"]

GUIDES = Path(__file__).parents[1] / "guides"
PAGE = "guide.html"


async def guide_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/guide``, in the language that was chosen."""
    text = (GUIDES / f"officers.{spoken(request).code}.md").read_text("utf-8")
    return pages.page(request, PAGE, {"guide": rendered(text, pages.assets)})


def rendered(text: str, assets: Assets) -> Markup:
    """A guide as HTML; markup in the text itself stays text.

    Parameters
    ----------
    text : str
        CommonMark with tables. Its pictures lie in ``pictures/`` beside it.
    assets : Assets
        Tells under which address a browser finds them.

    Examples
    --------
    >>> print(rendered("# **Next** <b>", Assets.of()))
    <h1><strong>Next</strong> &lt;b&gt;</h1>
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")

    def picture(
        renderer: RendererHTML,
        tokens: Sequence[Token],
        at: int,
        options: Any,
        env: MutableMapping[str, Any],
    ) -> str:
        name = Path(str(tokens[at].attrs["src"])).name
        tokens[at].attrs |= {"src": assets.path(f"{GUIDE_PICTURES}/{name}"), "loading": "lazy"}
        return renderer.image(tokens, at, options, env)

    reader.add_render_rule("image", picture)
    return Markup(reader.render(text))  # noqa: S704 - CommonMark without HTML, out of our own file
