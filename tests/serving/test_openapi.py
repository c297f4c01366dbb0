"""The published description is true: every path is in it, and what it promises is kept."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from serving.app import create
from serving.openapi import document
from serving.problems import CATALOGUE, MEDIA_TYPE

OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(document()).get_all_operations()
}
KEPT = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
TAKE_MANY = {
    "POST /v1/fraud/score_batch",
    "POST /v1/events",
    "POST /v1/incidents",
}  # refuse record by record
HOW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)


def asked(api: httpx.Client, case: Any) -> Any:
    headers = {"Authorization": api.headers["authorization"]}
    return case.call(base_url=str(api.base_url), headers=headers)


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_fits_the_description_is_answered_as_described(api: httpx.Client, label: str) -> None:
    @HOW
    @given(case=OPERATIONS[label].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def answered(case: Any) -> None:
        case.validate_response(asked(api, case), checks=KEPT)

    answered()


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label.startswith("POST")])
def test_what_does_not_fit_it_is_refused_as_described(api: httpx.Client, label: str) -> None:
    checks = KEPT if label in TAKE_MANY else (*KEPT, negative_data_rejection)

    @HOW
    @given(case=OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def refused(case: Any) -> None:
        case.validate_response(asked(api, case), checks=checks)

    refused()


def test_the_service_publishes_this_description(api: httpx.Client) -> None:
    assert api.get("/v1/openapi.json").json() == document()


def test_every_path_is_described() -> None:
    hidden = {"/docs.json", "/v1/openapi.json", "/console"}  # the console speaks HTML
    mounted = {str(route.path).replace(":path", "") for route in create().routes}  # type: ignore[attr-defined]
    declared = {"/v1/fraud/score", "/v1/fraud/score_batch"}
    assert set(document()["paths"]) == (mounted | declared) - hidden


def test_every_post_declares_its_errors_as_problems() -> None:
    for path, operations in document()["paths"].items():
        if "post" not in operations:
            continue
        answers = operations["post"]["responses"]
        assert {"400", "408", "413", "415", "422", "500", "503", "504"} <= set(answers), path
        for status, answer in answers.items():
            if int(status) >= 400:
                assert list(answer["content"]) == [MEDIA_TYPE]


def test_every_number_says_its_unit() -> None:
    """Numbers named without a unit say it in words."""
    obvious = {"seq", "features", "status", "index", "scored", "version"}
    units = ("_s", "_fen", "_days")
    for name, schema in document()["components"]["schemas"].items():
        for field, found in schema.get("properties", {}).items():
            kinds = {found.get("type")} | {each.get("type") for each in found.get("anyOf", [])}
            if kinds & {"integer", "number"} and field not in obvious:
                described_in_words = "description" in found or name in {
                    "Recomputed",
                    "FeatureValue",
                }
                assert field.endswith(units) or described_in_words, f"{name}.{field}"


def test_problem_kinds_have_a_way_out() -> None:
    for kind in CATALOGUE.values():
        assert kind.fix
        assert kind.uri.endswith(kind.name)


def test_the_example_of_the_description_scores(api: httpx.Client, call: Callable[..., Any]) -> None:
    content = document()["paths"]["/v1/fraud/score"]["post"]["requestBody"]["content"]
    example = {**content["application/json"]["example"], "event_id": call()["event_id"]}
    assert api.post("/v1/fraud/score", json=example).status_code == 200
