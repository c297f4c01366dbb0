"""The BentoML service: lifecycle and the declared scoring calls. The only file that imports it.

Errors, limits and every other path live in `serving.limits` and `serving.app`. The answers are
made as bytes here, because BentoML would rebuild a JSON schema for each dict it is given.
"""

import gc
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

import bentoml
from starlette.responses import Response

from serving.lean import import_without

import_without("lightgbm", ("pandas", "sklearn", "dask", "matplotlib", "graphviz"))

# ruff: noqa: E402 - what follows imports lightgbm
from data.settings import Settings, SettingsError
from serving import scrub
from serving.access import Credentials, Gate
from serving.app import create, score_batch, score_one
from serving.console import Assets, Pages, Refusals
from serving.contracts import Batch, BatchAnswer, Decision, EventBody
from serving.limits import Border, Limits
from serving.opening import opened
from serving.scorer import Scorer

__all__ = ["Forewarn"]


def _workers(environ: Mapping[str, str]) -> int:
    """How many processes score; BentoML wants to know when this module is imported."""
    text = environ.get("FOREWARN_WORKERS", "").strip() or "1"
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(
            f"FOREWARN_WORKERS: expected a whole number of at least 1, found {text!r}; "
            "correct it or unset it for one worker"
        )
    return int(text)


_LIMITS = Limits()
_PAGES = Pages.of(Assets.of())
_APP = create(_PAGES)


def _credentials() -> Credentials:
    credentials: Credentials = _APP.state.credentials
    return credentials


@bentoml.service(
    name="forewarn",
    workers=_workers(os.environ),
    # the border answers in time itself; this is the net under it
    traffic={"timeout": 2 * _LIMITS.answer_s},
    http={"host": "127.0.0.1", "port": 3000},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
    monitoring={"enabled": False},
)
@bentoml.asgi_app(_APP)
class Forewarn:
    """Scores events, explains every alert, keeps what was known."""

    scorer: Scorer
    _held: AsyncExitStack

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def open(self) -> None:
        """Connect to the stores and load the model bundle."""
        scrub.install()
        self._held = AsyncExitStack()
        parts = await self._held.enter_async_context(opened(Settings.from_environment()))
        self.scorer = parts.scorer
        parts.hand_to(_APP.state)
        # pauses of 100-350 ms come from collecting what was imported: set it aside
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Finish what was begun and let the stores go."""
        await self._held.aclose()

    @bentoml.api(  # type: ignore[untyped-decorator]
        route="/v1/fraud/score", input_spec=EventBody, output_spec=Decision
    )
    async def score(self, event: EventBody, /, ctx: bentoml.Context) -> Response:
        """Score one event."""
        response = await score_one(self.scorer, event.body, ctx.request.query_params)
        ctx.response.status_code = response.status_code
        return response

    @bentoml.api(  # type: ignore[untyped-decorator]
        route="/v1/fraud/score_batch", input_spec=Batch, output_spec=BatchAnswer
    )
    async def score_batch(self, body: bytes) -> Response:
        """Score up to 1,000 events, in the order given."""
        return await score_batch(self.scorer, body)


# the border stands outside: what the gate hears of has come whole, and in time
Forewarn.add_asgi_middleware(Border, limits=_LIMITS)  # type: ignore[attr-defined]
Forewarn.add_asgi_middleware(  # type: ignore[attr-defined]
    Gate, credentials=_credentials, refused=Refusals(_PAGES)
)
