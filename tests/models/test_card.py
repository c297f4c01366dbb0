"""A model card is data first and a page second."""

from models.card import RED_LINES, Card, Metric


def card() -> Card:
    return Card(
        "Fraud",
        "Warn a citizen before the money leaves.",
        "2026-01-01T00:00:00+00:00",
        data={"fingerprint": "abc"},
        metrics=(Metric("auc", 0.9, 0.8, 0.95), Metric("brier", 0.01)),
        baselines=(Metric("scorecard auc", 0.7),),
        params={"num_leaves": 15},
        limits=("A simulated city.",),
    )


def test_text_comes_back() -> None:
    assert Card.from_text(card().to_text()) == card()


def test_the_page_says_everything() -> None:
    page = card().to_markdown()
    for part in ("# Fraud", "auc 0.900 (0.800 to 0.950)", "brier 0.010", "scorecard", "abc"):
        assert part in page
    for line in (*RED_LINES, "A simulated city.", "num_leaves"):
        assert line in page
    assert "## Rules" not in Card("Fraud", "Warn.", "2026-01-01").to_markdown()
