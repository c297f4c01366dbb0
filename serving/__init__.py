"""How a model is asked: the API, its stores and its processes.

`training` makes models and publishes bundles; this opens a published one and never imports
training. Start it with `serve` or, for the length of a block, with `running`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.server import Place, Running, ServerError, running, serve

__all__ = ["Place", "Running", "ServerError", "running", "serve"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from serving import server  # noqa: PLC0415 - a worker has no use for its supervisor

        return getattr(server, name)
    raise AttributeError(f"module 'serving' has no attribute {name!r}")
