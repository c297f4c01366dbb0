"""A city's districts come from a file of areas with names, or it is said what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from data.districts import DistrictError, Districts


def feature(west: float, east: float, **properties: Any) -> dict[str, Any]:
    shape = json.loads(shapely.to_geojson(shapely.box(west, 29.0, east, 30.0)))
    return {"type": "Feature", "properties": properties, "geometry": shape}


def written(folder: Path, *features: Any) -> Path:
    file = folder / "districts.geojson"
    page = {"type": "FeatureCollection", "features": list(features)}
    file.write_text(json.dumps(page, ensure_ascii=False), "utf-8")
    return file


def test_a_place_lies_in_its_district_or_in_none(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        feature(106.0, 107.0, name="渝中区", residents=588_700, level="district"),
        feature(107.0, 108.0, name="江北区"),
    )
    found = Districts.load(file)
    assert found.names == ("渝中区", "江北区")
    np.testing.assert_array_equal(found.residents, [588_700, np.nan])
    lon = [106.5, 107.5, 107.0, 109.0, np.nan]
    assert found.of(lon, [29.5] * 5).tolist() == [0, 1, 0, -1, -1]
    assert found.of([], []).tolist() == []


def test_where_areas_overlap_the_first_has_it(tmp_path: Path) -> None:
    file = written(tmp_path, feature(106.0, 107.0, name="a"), feature(106.0, 107.0, name="b"))
    assert Districts.load(file).of([106.5] * 9, [29.5] * 9).tolist() == [0] * 9


def test_a_district_of_two_parts_is_one(tmp_path: Path) -> None:
    parts = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)])
    whole = {"geometry": json.loads(shapely.to_geojson(parts)), "properties": {"name": "islands"}}
    found = Districts.load(written(tmp_path, whole))
    assert found.of([0.5, 1.5, 2.5], [0.5] * 3).tolist() == [0, -1, 0]


SOUND = feature(106.0, 107.0, name="a")
BOW = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([], "no features"),
        ([7], "no properties in feature 0"),
        ([SOUND, {"geometry": SOUND["geometry"]}], "no properties in feature 1"),
        ([feature(1, 2)], "no name"),
        ([feature(1, 2, name=" ")], "no name"),
        ([feature(1, 2, name=3)], "no name"),
        ([SOUND, SOUND], "one name twice"),
        ([{**SOUND, "geometry": None}], "no area"),
        ([{**SOUND, "geometry": {"type": "Point", "coordinates": [1, 2]}}], "no area"),
        ([{**SOUND, "geometry": {"type": "Polygon", "coordinates": 5}}], "no area"),
        ([{**SOUND, "geometry": BOW}], "crosses itself"),
        ([feature(400_000, 400_100, name="a")], "no degrees"),
        ([feature(1, 2, name="a", residents="many")], "residents that are no count"),
        ([feature(1, 2, name="a", residents=-1)], "residents that are no count"),
        ([feature(1, 2, name="a", residents=True)], "residents that are no count"),
    ],
)
def test_what_is_no_district_is_told(tmp_path: Path, features: list[Any], said: str) -> None:
    with pytest.raises(DistrictError, match=f"expected districts as .*{said}.*FOREWARN_DISTRICTS"):
        Districts.load(written(tmp_path, *features))


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b"[]", b"7", b"{}"])
def test_what_is_no_geojson_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "districts.geojson"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DistrictError, match=r"found no.*districts\.geojson.*or unset it"):
        Districts.load(file)
