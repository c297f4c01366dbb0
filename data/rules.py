"""What the contracts say about each field of each kind, laid out for whole columns.

Derived, never written down twice: bounds, needs and defaults come from the published JSON Schema,
texts are judged by the very validators of the contracts' fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from data.events import EVENT_TYPES
from data.problems import field_schemas
from data.pseudonyms import identifier_fields

__all__ = ["KINDS", "FieldRules", "field_rules", "judge_texts", "text_rule", "texts_pass"]

KINDS = tuple(EVENT_TYPES)
WIDEST = np.iinfo(np.int64)


@dataclass(frozen=True)
class FieldRules:
    """Rules of one column, one entry a kind (in the order of `KINDS`).

    Attributes
    ----------
    allowed, required : ndarray of bool
        Whether the kind has the field; whether it must be there.
    low, high : ndarray of int64
        Bounds of whole numbers, both included; none fits a kind without the field.
    default : tuple
        What an absent value means; None where it stays absent.
    """

    allowed: NDArray[np.bool_]
    required: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    default: tuple[Any, ...]


@cache
def field_rules(field: str) -> FieldRules:
    """Rules of a column.

    Examples
    --------
    >>> rules = field_rules("duration_s")
    >>> [kind for kind, needed in zip(KINDS, rules.required) if needed]
    ['call']
    >>> int(rules.high[KINDS.index("app")]), rules.default[KINDS.index("app")]
    (604800, 0)
    """
    schemas = [field_schemas()[kind].get(field) for kind in KINDS]
    models = [EVENT_TYPES[kind].model_fields.get(field) for kind in KINDS]
    given = [schema or {} for schema in schemas]
    low = [one.get("minimum", one.get("exclusiveMinimum", WIDEST.min)) for one in given]
    open_low = ["exclusiveMinimum" in one for one in given]
    allowed = np.array([schema is not None for schema in schemas])
    return FieldRules(
        allowed=allowed,
        required=np.array([model is not None and model.is_required() for model in models]),
        low=np.array(low, np.int64) + np.array(open_low),
        high=np.where(allowed, [one.get("maximum", WIDEST.max) for one in given], WIDEST.min),
        default=tuple(one.get("default") for one in given),
    )


@cache
def text_rule(kind: str, field: str) -> str:
    """One name for all fields whose texts are judged and concealed alike.

    Examples
    --------
    >>> text_rule("call", "counterpart") == text_rule("sms", "subscriber")
    True
    >>> text_rule("call", "counterpart") == text_rule("transfer", "counterpart")
    False
    """
    schema = field_schemas()[kind][field]
    said = {name: schema[name] for name in sorted({*schema} - {"description", "default"})}
    lowered = "to_lower=True" in repr(EVENT_TYPES[kind].model_fields[field])
    return f"{identifier_fields(EVENT_TYPES[kind]).get(field)} {lowered} {said}"


def judge_texts(kind: str, field: str, texts: Sequence[str]) -> list[str | None]:
    """What the contract makes of each text; None where it refuses it.

    Examples
    --------
    >>> judge_texts("app", "counterpart", ["com.Example.App", "no spaces"])
    ['com.example.app', None]
    """
    judge = _judge(kind, field)
    try:
        return [str(text) for text in judge.validate_python(list(texts))]
    except ValidationError as error:
        refused = {
            detail["loc"][0]
            for detail in error.errors(
                include_url=False, include_context=False, include_input=False
            )
        }
    passed = iter(judge.validate_python([t for i, t in enumerate(texts) if i not in refused]))
    return [None if place in refused else str(next(passed)) for place in range(len(texts))]


def texts_pass(kind: str, field: str, texts: Any) -> Any:
    r"""Which of many distinct texts surely pass, by the published pattern and length.

    For columns whose values are all different. Patterns are read by RE2, whose ``\w`` knows ASCII
    only: it passes less than the contract, never more.
    """
    schema = field_schemas()[kind][field]
    length = pc.utf8_length(texts)
    fits = pc.and_(
        pc.greater_equal(length, schema.get("minLength", 0)),
        pc.less_equal(length, schema["maxLength"]),
    )
    return pc.and_(fits, pc.match_substring_regex(texts, schema["pattern"]))


@cache
def _judge(kind: str, field: str) -> TypeAdapter[list[Any]]:
    model = EVENT_TYPES[kind].model_fields[field]
    one: Any = model.annotation
    if get_origin(one) is tuple:
        one = get_args(one)[0]
    elif model.metadata:
        one = Annotated[(one, *model.metadata)]
    return TypeAdapter(list[one])
