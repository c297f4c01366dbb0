"""A suspect-line model on disk: the model, what is normal, what its features mean, its card."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.line_columns import LineColumn
from models.card import Card
from models.line_reasons import LineReason, explain_line
from models.norms import Norms
from models.sealed import BundleError, seal, unseal
from models.signing import PublicKey, Signer
from models.suspect_line import SuspectLineModel
from models.trees import Floats

__all__ = ["LineBundle"]

FORMAT = "forewarn-lines/1"
MODEL_FILES = ("calibration.json", "curves.json", "threshold.json", "trees.json")
FILES = (*MODEL_FILES, "card.json", "columns.json", "norms.json")


@dataclass(frozen=True)
class LineBundle:
    """Everything needed to judge lines and to say why.

    Parameters
    ----------
    model : SuspectLineModel
    columns : tuple of LineColumn
        What each feature of the model means, in its order.
    norms : Norms
        Of training lines that are no suspects.
    card : Card
    """

    model: SuspectLineModel
    columns: tuple[LineColumn, ...]
    norms: Norms
    card: Card

    def write(self, directory: Path, signer: Signer) -> str:
        """Write a signed directory of text and return its version.

        Raises
        ------
        BundleError
            If columns do not fit the model, or the directory exists with other content.
        """
        names = tuple(column.name for column in self.columns)
        if names != self.model.names:
            raise BundleError(
                f"columns for the model's {len(self.model.names)} features",
                f"{len(names)} columns",
                "give the columns of the vectors it was trained on",
            )
        texts = {
            **self.model.parts(),
            "card.json": self.card.to_text(),
            "columns.json": json.dumps([asdict(c) for c in self.columns], ensure_ascii=False),
            "norms.json": self.norms.to_text(),
        }
        return seal(directory, {name: texts[name].encode() for name in FILES}, signer, FORMAT)

    @classmethod
    def load(cls, directory: Path, public_key: PublicKey) -> "LineBundle":
        """Verify a directory and open it.

        Raises
        ------
        BundleError
            If anything is missing, damaged, unsigned or not a model of lines.
        """
        contents, _ = unseal(directory, public_key, FORMAT, FILES)
        return cls._opened({name: content.decode() for name, content in contents.items()})

    @classmethod
    def _opened(cls, text: Mapping[str, str]) -> "LineBundle":
        columns: list[dict[str, Any]] = json.loads(text["columns.json"])
        return cls(
            SuspectLineModel.from_parts(text),
            tuple(LineColumn(**column) for column in columns),
            Norms.from_text(text["norms.json"]),
            Card.from_text(text["card.json"]),
        )

    def explain(self, vector: Floats, limit: int = 5) -> tuple[LineReason, ...]:
        """Why a line scores as it does; `vector` has shape (p,)."""
        contributions = self.model.contributions(vector[None, :])[0]
        return explain_line(vector, contributions, self.columns, self.norms, limit)
