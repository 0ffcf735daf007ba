"""What goes on, counted for Prometheus: totals and durations by kind, platform and stage; never a learner, an address or a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot.watching import Watcher

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds between which stages of the work are told apart."""

LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 10800)
"""The same for how long after its time a message was sent."""


class Metrics(Watcher):
    """A watcher that counts, with a registry of its own. What is asked for at the moment of a look comes as `now`."""

    type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody looks at
        self._registry = CollectorRegistry()
        self._now = _Now()
        for collector in (self._now, ProcessCollector(registry=None), PlatformCollector(registry=None)):
            self._registry.register(collector)
        self._graded = self._counter("replies_graded", "Replies graded, by grader and outcome.", "grader", "outcome")
        self._stages = self._histogram("stage_seconds", "Seconds that each stage of the work takes.", SHORT, "stage")
        self._due = self._counter("deliveries_due", "Deliveries whose time had come, by kind.", "kind")
        self._after = self._histogram("delivery_seconds", "Seconds from a message's time until it was sent.", LONG, "platform", "kind")
        self._outcomes = {
            name: self._counter(f"deliveries_{name}", f"Messages {text}, by platform and kind.", "platform", "kind")
            for name, text in (
                ("sent", "sent"), ("late", "sent a minute or more after the minute that a learner chose"), ("retried", "tried again"),
                ("failed", "given up"), ("gone", "to somebody who is not there any more"),
            )
        }  # fmt: skip
        self._troubles = self._counter("platform_errors", "Faults of platforms, by kind.", "platform", "kind")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace="coach", registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace="coach", registry=self._registry, buckets=tuple(buckets))

    def stage(self, name: str, seconds: float) -> None:
        self._stages.labels(name).observe(seconds)

    def graded(self, grader: str, outcome: str) -> None:
        self._graded.labels(grader, outcome).inc()

    def due(self, kind: str, number: int) -> None:
        self._due.labels(kind).inc(number)

    def delivery(self, platform: str, kind: str, outcome: str, seconds: float = 0.0) -> None:
        if outcome in ("sent", "late"):
            self._outcomes["sent"].labels(platform, kind).inc()
            self._after.labels(platform, kind).observe(seconds)
        if outcome != "sent":
            self._outcomes[outcome].labels(platform, kind).inc()

    def trouble(self, platform: str, kind: str) -> None:
        self._troubles.labels(platform, kind).inc()

    def text(self, now: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]) -> bytes:
        """All of it in Prometheus' text format. now: gauges by name, each value under its labels."""
        self._now.gauges = now
        return generate_latest(self._registry)


class _Now:
    """Gauges that are known at the moment of a look only."""

    HELP = {
        "queue_length": "Messages and updates that wait, by queue and platform; due: their time has come.",
        "database_up": "Whether the database answers.",
        "platform_connected": "Whether a platform is listened to, or another process of ours does.",
        "tick_age_seconds": "Seconds since the last tick that came through.",
    }

    def __init__(self) -> None:
        self.gauges: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]] = {}

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for name, values in self.gauges.items():
            labels = [label for label, _ in next(iter(values), ())]
            family = GaugeMetricFamily(f"coach_{name}", self.HELP[name], labels=labels)
            for at, value in values.items():
                family.add_metric([text for _, text in at], value)
            yield family
