"""What a certificate of served vectors says, as the command line prints it."""

from experiments.result import Result
from serving.certificate import Certified

__all__ = ["certified"]


def certified(found: Certified) -> Result:
    """Lay out what was compared, and the first numbers that differ."""
    certificate = found.certificate
    rows = [
        ("decisions replayed", f"{certificate.vectors:,}"),
        ("numbers compared", f"{certificate.values:,}"),
        ("numbers that differ", f"{certificate.mismatches:,}"),
        ("decisions whose event is not recorded", f"{len(certificate.missing):,}"),
        ("decisions under other feature definitions, not replayed", f"{found.others:,}"),
    ]
    return Result(
        title="Certificate: every served vector, made again in bulk from the recorded events",
        columns=("measure", "value"),
        rows=rows,
        figures={
            "holds": certificate.holds,
            "decisions": certificate.vectors,
            "values": certificate.values,
            "mismatches": certificate.mismatches,
            "missing": list(certificate.missing),
            "others": found.others,
            "features": certificate.digest,
        },
        notes=[
            f"event {each.seq}, {each.feature}: served {each.served!r}, replayed {each.replayed!r}"
            for each in certificate.examples
        ],
    )
