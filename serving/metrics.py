"""What the service counts about itself, for Prometheus; over all workers when there are several.

Labels are routes, levels and names of our own, never anything a request carried.
"""

import os
from datetime import datetime
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

__all__ = ["ROUTES", "decided", "degraded", "explained", "exposition", "quarantined", "request"]
__all__ += ["job_done", "job_failed", "route"]

ROUTES = (
    "/v1/fraud/score",
    "/v1/fraud/score_batch",
    "/v1/events",
    "/v1/reports",
    "/v1/hotspots",
    "/v1/patrol-plans",
    "/v1/incidents",
    "/v1/cases",
    "/v1/cases/next",
    "/v1/cases/bulk",
    "/v1/attempts",
    "/v1/model",
    "/v1/health",
    "/v1/ready",
    "/v1/openapi.json",
    "/metrics",
)
_FAMILIES = {
    "/console/static/": "/console/static",
    "/console/": "/console",
    "/v1/cases/": "/v1/cases/{case_id}",
    "/v1/decisions/": "/v1/decisions/{event_id}",
    "/v1/hotspots/": "/v1/hotspots/{cell}/explanation",
}
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@cache
def _meters() -> dict[str, Any]:
    # made at first use: the worker's environment decides then whether files are shared
    registry = CollectorRegistry()
    return {
        "registry": registry,
        "requests": Counter(
            "forewarn_requests_total",
            "Requests answered, by route and status.",
            ("route", "status"),
            registry=registry,
        ),
        "seconds": Histogram(
            "forewarn_request_seconds",
            "Seconds from the request's head to its answer's end, by route.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        ),
        "decisions": Counter(
            "forewarn_decisions_total",
            "Decisions recorded, by warning level (none: below every threshold).",
            ("level",),
            registry=registry,
        ),
        "explained": Counter(
            "forewarn_explained_total", "Decisions that carry reasons.", registry=registry
        ),
        "quarantined": Counter(
            "forewarn_quarantined_total", "Records put in quarantine.", registry=registry
        ),
        "job_success": Gauge(
            "forewarn_job_last_success_seconds",
            "When a job of the keeper last succeeded, seconds since 1970, by job.",
            ("job",),
            multiprocess_mode="max",
            registry=registry,
        ),
        "job_failures": Counter(
            "forewarn_job_failures_total",
            "Tries of a job that failed.",
            ("job",),
            registry=registry,
        ),
        "degraded": Counter(
            "forewarn_degraded_total", "Answers that lacked a part.", ("part",), registry=registry
        ),
    }


def route(path: str) -> str:
    """The route a path belongs to; anything else is one label, so that labels stay few.

    Examples
    --------
    >>> route("/v1/decisions/abc"), route("/etc/passwd")
    ('/v1/decisions/{event_id}', 'other')
    """
    if path in ROUTES:
        return path
    return next((name for head, name in _FAMILIES.items() if path.startswith(head)), "other")


def request(path: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    label = route(path)
    _meters()["requests"].labels(label, str(status)).inc()
    _meters()["seconds"].labels(label).observe(seconds)


def decided(level: str | None) -> None:
    """Count one recorded decision."""
    _meters()["decisions"].labels(level or "none").inc()


def explained() -> None:
    """Count one decision with reasons."""
    _meters()["explained"].inc()


def quarantined(records: int = 1) -> None:
    """Count records put in quarantine."""
    _meters()["quarantined"].inc(records)


def degraded(part: str) -> None:
    """Count one answer that lacked `part`."""
    _meters()["degraded"].labels(part).inc()


def job_done(job: str, at: datetime) -> None:
    """Note that a job succeeded."""
    _meters()["job_success"].labels(job).set(at.timestamp())


def job_failed(job: str) -> None:
    """Count one try of a job that failed."""
    _meters()["job_failures"].labels(job).inc()


def exposition() -> Response:
    """All workers' figures in Prometheus' text format."""
    registry = _meters()["registry"]
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
