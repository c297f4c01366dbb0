"""What we tried: one file per question, each printing a table and one line of JSON.

Nothing imports this folder but the command line. ``training`` makes the model that is used;
``experiments`` measures it, and the parts around it, beside a rival in the same run.
"""

from experiments.result import Result, print_result

__all__ = ["Result", "print_result"]
