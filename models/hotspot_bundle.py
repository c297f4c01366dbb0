"""A hotspot model on disk: model, days of the week, grid and shifts, card; hashed and signed."""

import json
from dataclasses import dataclass
from pathlib import Path

from features.grid import Grid
from features.shifts import Shifts
from models.card import Card
from models.day_profile import DayProfile
from models.hotspot import HotspotModel
from models.sealed import seal, unseal
from models.signing import PublicKey, Signer

__all__ = ["HotspotBundle"]

FORMAT = "forewarn-hotspot/1"
FILES = ("hotspot.json", "hotspot.txt", "days.json", "place.json", "card.json")


@dataclass(frozen=True, eq=False)
class HotspotBundle:
    """Everything needed to forecast a city's incidents and to say why.

    Parameters
    ----------
    model : HotspotModel
    days : DayProfile
    grid : Grid
        Its cells may be fewer than a later map's: cells are those that ever had an incident.
    shifts : Shifts
    card : Card
    version : str
        Of the signed folder; empty before it is written.
    """

    model: HotspotModel
    days: DayProfile
    grid: Grid
    shifts: Shifts
    card: Card
    version: str = ""

    def write(self, directory: Path, signer: Signer) -> str:
        """Write a signed directory of text and return its version.

        Raises
        ------
        BundleError
            If the directory exists with other content.
        """
        place = {
            "grid": self.grid.as_dict(),
            "shifts": list(self.shifts.starts),
            "zone": self.shifts.zone,
        }
        texts = {
            "hotspot.txt": "",  # few incidents grow no trees
            **self.model.to_texts(),
            "days.json": self.days.to_text(),
            "place.json": json.dumps(place),
            "card.json": self.card.to_text(),
        }
        return seal(directory, {name: texts[name].encode() for name in FILES}, signer, FORMAT)

    @classmethod
    def load(cls, directory: Path, public_key: PublicKey) -> "HotspotBundle":
        """Verify a directory and open it.

        Raises
        ------
        BundleError
            If anything is missing, damaged, unsigned or not a model of hotspots.
        """
        contents, version = unseal(directory, public_key, FORMAT, FILES)
        texts = {name: content.decode() for name, content in contents.items() if content}
        place = json.loads(texts["place.json"])
        return cls(
            model=HotspotModel.from_texts(texts),
            days=DayProfile.from_text(texts["days.json"]),
            grid=Grid.from_dict(place["grid"]),
            shifts=Shifts(tuple(place["shifts"]), place["zone"]),
            card=Card.from_text(texts["card.json"]),
            version=version,
        )
