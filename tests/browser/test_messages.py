"""Whatever the console says, it says in Chinese and in English."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from serving.console.pages import TEMPLATES
from serving.console.tongues import CATALOGUE

CHINESE = re.compile(r"[\u4e00-\u9fff]")
MADE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def said() -> Iterator[str]:
    """The English texts of the templates."""
    methods = [("**.html", "jinja2.ext:babel_extract")]
    for _, _, text, *_ in extract_from_dir(TEMPLATES, methods, {"**.html": {"silent": "false"}}):
        assert isinstance(text, str), f"a plural has one form in Chinese: reword {text}"
        yield text


@pytest.fixture(scope="module")
def catalogue() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        found = read_po(file, "zh", abort_invalid=True)
    return {str(each.id): str(each.string) for each in found if each.id}


def test_every_text_is_in_both_languages_and_no_other_is_kept(catalogue: dict[str, str]) -> None:
    assert set(catalogue) == set(said())
    lacking = [text for text, chinese in catalogue.items() if not CHINESE.search(chinese)]
    assert lacking == []
    assert [text for text in catalogue if CHINESE.search(text)] == []


def test_a_translation_has_the_same_blanks(catalogue: dict[str, str]) -> None:
    for text, chinese in catalogue.items():
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(chinese)), text


def test_no_template_says_anything_past_the_catalogue() -> None:
    """A word outside of tags and expressions would be the same in both languages."""
    for path in sorted(TEMPLATES.glob("*.html")):
        bare = MADE.sub("", path.read_text("utf-8"))
        words = re.sub(r"<kbd>.*?</kbd>|<[^>]*>", "", bare)
        assert not re.search(r"[A-Za-z]{2,}", words), path.name
        assert not CHINESE.search(words), path.name
