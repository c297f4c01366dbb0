"""How a model is asked: the API, its stores and its processes.

`training` makes models and publishes bundles; this opens a published one and never imports
training. Start it with `serve` or, for the length of a block, with `running`.
"""

from serving.server import Place, Running, ServerError, running, serve

__all__ = ["Place", "Running", "ServerError", "running", "serve"]
