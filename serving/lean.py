"""Import a library without the optional companions it would pull in.

`import lightgbm` imports scikit-learn, pandas, dask and matplotlib where they are installed: most
of a worker's start and half its memory, for nothing it uses.
"""

import importlib
import sys
from collections.abc import Iterable

__all__ = ["import_without"]


def import_without(name: str, companions: Iterable[str]) -> None:
    """Import module `name` as if `companions` were not installed; later they are again.

    Examples
    --------
    >>> import_without("json", ["no_such_companion"])
    >>> "no_such_companion" in sys.modules
    False
    """
    barred = [each for each in companions if each not in sys.modules]
    sys.modules.update(dict.fromkeys(barred))  # type: ignore[arg-type]  # None means: no such module
    try:
        importlib.import_module(name)
    finally:
        for each in barred:
            del sys.modules[each]
