"""What Prometheus reads: requests, times, the queue, batches, rows; a registry per application."""

from __future__ import annotations

import math
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16)


class Metrics:
    """Counters of one application. Routes are told by their pattern, never by what was asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "resight_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "resight_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._running = Gauge(
            "resight_requests_running",
            "Requests that are not answered yet.",
            registry=self.registry,
        )
        self._batches = Histogram(
            "resight_batch_size",
            "Requests that were embedded, or searched for, together.",
            ("work",),
            buckets=BATCHES,
            registry=self.registry,
        )
        self._queue = Gauge(
            "resight_queue_length", "Requests that wait for a worker.", registry=self.registry
        )
        self._rows = Gauge("resight_crops", "Crops in the gallery.", registry=self.registry)
        self._up = Gauge(
            "resight_store_up", "Whether the store answers (1) or not (0).", registry=self.registry
        )

    def started(self) -> None:
        """A request has come."""
        self._running.inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._running.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def batches(self, work: str) -> Callable[[int], None]:
        """What to call with the size of each batch of this work."""
        histogram: Callable[[int], None] = self._batches.labels(work).observe
        return histogram

    def read(self, *, queue: int, rows: int | None) -> bytes:
        """All figures in Prometheus' text format. rows: None where the store does not answer."""
        self._queue.set(queue)
        self._rows.set(math.nan if rows is None else rows)
        self._up.set(rows is not None)
        return generate_latest(self.registry)
