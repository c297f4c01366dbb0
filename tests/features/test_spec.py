"""Definitions: names are derived, every feature says its unit, source and sentence."""

import re

import pytest

from features import FRAUD_FEATURES, TRANSFER_FEATURES, FeatureSet, FeatureSpec
from features.periods import WINDOWS
from features.plan import compile_plan
from features.streams import STREAMS, Stream


def test_a_name_follows_from_the_definition() -> None:
    spec = FeatureSpec("counterpart", "share", "stranger", "7d", of="any")
    assert spec.name == "counterpart.stranger.share.of_any.7d"


@pytest.mark.parametrize("spec", FRAUD_FEATURES.specs, ids=lambda spec: spec.name)
def test_every_feature_explains_itself(spec: FeatureSpec) -> None:
    for sentence in (spec.zh, spec.en):
        assert "{value}" in sentence or spec.what == "order"
        assert not re.search(r"\{(?!value\})|  ", sentence)
    assert re.search(r"[\u4e00-\u9fff]", spec.zh)
    assert spec.unit
    assert "Law Art." in spec.source
    assert re.fullmatch(r"[\w.]+", spec.name)


def test_the_required_kinds_of_feature_are_there() -> None:
    asked = {spec.what for spec in FRAUD_FEATURES}
    wanted = "count sum mean max std distinct since_last since_first share habit in_degree"
    assert set(wanted.split()) | {"out_degree", "order", "others"} <= asked
    assert {spec.window for spec in FRAUD_FEATURES} >= {"1h", "24h", "7d", "30d"}
    keys = {spec.key for spec in FRAUD_FEATURES}
    assert {"subscriber", "counterpart", "pair", "account", "device"} <= keys
    streams = {spec.stream for spec in FRAUD_FEATURES}
    assert {"stranger", "transfer_new", "night", "report", "followed_shared"} <= streams


def test_transfers_alone_are_a_part_of_all() -> None:
    assert set(TRANSFER_FEATURES.names) < set(FRAUD_FEATURES.names)


def test_a_digest_tells_sets_apart() -> None:
    whole, part = FRAUD_FEATURES, FRAUD_FEATURES.without("link")
    assert whole.digest != part.digest
    assert FeatureSet(whole.specs).digest == whole.digest
    assert FeatureSet(tuple(reversed(whole.specs))).digest != whole.digest


def test_looking_up_and_choosing() -> None:
    name = "subscriber.any.count.24h"
    assert FRAUD_FEATURES.spec(name).name == name
    assert {spec.key for spec in FRAUD_FEATURES.only("pair", "link")} == {"pair", "link"}
    with pytest.raises(KeyError, match="expected one of this set's"):
        FRAUD_FEATURES.spec("nothing")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"key": "citizen"}, "key: expected one of"),
        ({"what": "guess"}, "what: expected one of"),
        ({"stream": "letters"}, "stream: expected one of"),
        ({"window": "5y"}, "window: expected one of"),
    ],
)
def test_an_unknown_part_is_refused(fields: dict[str, str], message: str) -> None:
    known = {"key": "subscriber", "what": "count", "stream": "any", "window": "24h"}
    with pytest.raises(ValueError, match=message):
        FeatureSpec(**{**known, **fields})


def test_a_feature_twice_is_refused() -> None:
    spec = FeatureSpec("subscriber", "count", "any", "24h")
    with pytest.raises(ValueError, match="found twice"):
        FeatureSet((spec, spec))


def test_an_unknown_circumstance_is_refused() -> None:
    with pytest.raises(ValueError, match="circumstance: expected one of"):
        Stream("x", ("call",), (), "x", "x", "x", circumstance="full moon")


def test_tiles_divide_their_windows() -> None:
    for window in WINDOWS.values():
        assert window.length_s % window.tile_s == 0
        assert window.lag_s % window.tile_s == 0


def test_a_mask_has_room_for_every_stream() -> None:
    assert len(compile_plan(FRAUD_FEATURES).streams) <= 60
    assert len(STREAMS) == len({stream.zh for stream in STREAMS.values()})
