"""The officers' console: HTML pages beside the API, made on the server, in Chinese and English.

It differs from the rest of `serving` in whom it speaks to: the API answers systems in JSON, the
console shows people the same answers as pages. It asks the same Python objects that the API asks
and concludes nothing itself. What a browser loads comes from `static/`; nothing comes from outside.
"""

from serving.console.assets import Assets
from serving.console.entrance import Refusals
from serving.console.pages import Pages
from serving.console.routes import mounted

__all__ = ["Assets", "Pages", "Refusals", "mounted"]
