"""Whatever a library logs, numbers and refused input stay out of it."""

import io
import logging

import pytest
from pydantic import BaseModel

from serving import scrub
from serving.scrub import scrubbed


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> logging.Logger:
    logger = logging.getLogger("tests.scrub")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.propagate = False
    scrub.install()
    yield logger  # type: ignore[misc]
    logger.removeHandler(handler)


@pytest.mark.parametrize("number", ["13800138000", "+86 138 0013 8000", "6217-0000-1234-5678"])
def test_numbers_are_cut_from_messages_and_arguments(
    log: logging.Logger, stream: io.StringIO, number: str
) -> None:
    log.error("call %s refused " + number, number)
    assert number not in stream.getvalue()
    assert "refused" in stream.getvalue()


def test_a_validation_error_in_a_traceback_loses_its_input(
    log: logging.Logger, stream: io.StringIO
) -> None:
    class Strict(BaseModel):
        amount: int

    refused = "-".join(["secret", "of", "wang"])
    try:
        Strict.model_validate({"amount": refused})
    except ValueError:
        log.exception("refused")
    text = stream.getvalue()
    assert refused not in text
    assert "ValidationError" in text


def test_installing_twice_filters_once(log: logging.Logger) -> None:
    scrub.install()
    filters = [each for each in log.handlers[0].filters if isinstance(each, scrub.Scrub)]
    assert len(filters) == 1


@pytest.mark.parametrize(
    "number",
    [
        "138.0013.8000",
        "138\u30000013\u30008000",
        "138\u00a00013\u00a08000",
        "138–0013—8000",
        "138－0013－8000",
        "138/0013/8000",
        "138_0013_8000",
        "138\t0013\t8000",
        "一三八零零一三八零零零",
        "6217.0000.1234.5678",
    ],
)
def test_a_number_is_cut_however_it_is_set_apart(number: str) -> None:
    assert scrubbed(f"回拨{number}核实") == "回拨[number]核实"


@pytest.mark.parametrize(
    "words", ["127.0.0.1:3000", "二〇二六年", "(1024, 1024, 1024)", "1,234.56", "0.12345"]
)
def test_what_is_no_number_of_anybody_stays(words: str) -> None:
    assert scrubbed(words) == words
