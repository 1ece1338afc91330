"""Which charts a run's log becomes, and the sentence that says how to read each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from resight.reporting.charts import Line, line_chart, stacked_bars
from resight.reporting.histograms import histogram_chart
from resight.reporting.quantities import duration, look_up, numbers, quantity

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curves:
    """A chart's plan. keys: logged figures of one unit, with the names of their lines."""

    title: str
    hint: str
    keys: Mapping[str, str]
    y_range: tuple[float | None, float | None] = (0.0, None)


@dataclass(frozen=True)
class Chart:
    """A drawn chart with its title and its reading; legend: names of its lines, by their number."""

    title: str
    hint: str
    svg: Markup
    legend: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Charts that answer one question."""

    title: str
    charts: tuple[Chart, ...]


RETRIEVAL = (
    Curves(
        "Searches in held-out crops",
        "Rank-1 is the share of searches whose first answer is right; mAP also counts how early "
        "the other right answers come. Both should rise and then level off.",
        {"evaluation.mAP": "mAP", "evaluation.rank1": "Rank-1"},
        (0.0, 100.0),
    ),
    Curves(
        "Clusters against identities: pairs",
        "Precision: pairs in one cluster that show one individual; low means that individuals "
        "are mixed. Recall: pairs of one individual that share a cluster; low means that "
        "individuals are split. Both should rise.",
        {
            "against_identities.precision": "precision",
            "against_identities.recall": "recall",
            "against_identities.f1": "F1",
        },
        (0.0, 100.0),
    ),
    Curves(
        "Clusters against identities: overall",
        "How alike the clusters and the true identities are; 1 is a perfect match, the adjusted "
        "Rand index (ARI) of chance is 0.",
        {
            "against_identities.ari": "ARI",
            "against_identities.nmi": "NMI",
            "against_identities.homogeneity": "homogeneity",
            "against_identities.completeness": "completeness",
        },
        (0.0, 1.0),
    ),
    Curves(
        "Clusters against identities: crops",
        "BCubed: for each crop, the share of its cluster that shows its individual (precision) and "
        "the share of its individual that is in its cluster (recall). Noisy crops are not of their "
        "cluster's most frequent individual.",
        {
            "against_identities.bcubed_precision": "precision",
            "against_identities.bcubed_recall": "recall",
            "against_identities.bcubed_f1": "F1",
            "against_identities.noisy_share": "noisy crops",
        },
        (0.0, 100.0),
    ),
    Curves(
        "Identity consistency of boundary crops",
        "Share of a cluster's crops, or of the anchors that make its vector, that show the "
        "individual of its boundary crops, the twentieth with the lowest silhouettes; large "
        "clusters only. Both should rise.",
        {
            "against_identities.identity_consistency": "all crops",
            "against_identities.identity_consistency_anchors": "anchors",
        },
    ),
)
CLUSTERS = (
    Curves(
        "Clusters",
        "How many groups the crops fall into. It should settle near the number of individuals "
        "that you expect.",
        {"clusters": ""},
    ),
    Curves(
        "Outliers",
        "Share of the crops that belong to no cluster and are not trained on. It should fall as "
        "the features get better.",
        {"outlier_share": ""},
    ),
    Curves(
        "Cluster size",
        "Crops per cluster. A mean far above the median tells of giant clusters that swallow "
        "several individuals.",
        {"mean_size": "mean", "median_size": "median"},
    ),
    Curves(
        "Silhouette",
        "How much nearer crops are to their own cluster than to the next one, from -1 to 1. "
        "Higher is cleaner; a fall late in training is a warning.",
        {"silhouette": ""},
    ),
    Curves(
        "Clusters across cameras",
        "Share of the clusters with crops of two cameras or more. It should rise; near 0 the "
        "cameras are being clustered, not the individuals.",
        {"across_cameras": ""},
        (0.0, 100.0),
    ),
    Curves(
        "Camera mix",
        "Mean entropy of a cluster's cameras: 0 bits for one camera, 1 bit for two in equal "
        "parts. It should rise and then level off, near that of the true identities where these "
        "are known.",
        {"camera_entropy": "clusters", "identity_camera_entropy": "identities"},
    ),
    Curves(
        "eps that the data proposed",
        "Distance up to which crops are neighbours, chosen anew in every epoch. It should change "
        "little once the features are good.",
        {"proposed.eps": ""},
        (0.0, 1.0),
    ),
    Curves(
        "k1 that the data proposed",
        "Neighbours in the lists that the distances compare, chosen with eps. It fits the number "
        "of crops that an individual has.",
        {"proposed.k1": "k1", "proposed.k2": "k2"},
    ),
    Curves(
        "Decided pairs that the clusters violated",
        "Of the pairs that people called the same or different, how many the clusters had wrong "
        "before they were put right. It falls where the encoder learns what it was told.",
        {"feedback.violated": "violated", "feedback.pairs": "all pairs"},
    ),
)
TRAINING = (
    Curves(
        "Loss",
        "Mean training loss. It should fall; small jumps are normal, because the clusters are "
        "new in every epoch.",
        {"loss": ""},
    ),
    Curves(
        "Agreement with the epoch before",
        "How alike the clusters of two epochs in a row are (adjusted Rand index; 1 is the same). "
        "It should near 1 as the labels settle.",
        {"agreement": ""},
        (0.0, 1.0),
    ),
)
SPREAD_HINT = (
    "How many crops have which silhouette at the start, half-way and at the end. The hill should "
    "grow and move to the right; crops below 0 are nearer to another cluster than to their own."
)
TIME_HINT = (
    "Seconds of each epoch, by what they were spent on. Bars of one height are normal; growing "
    "ones mean that a part gets harder, or a busy machine."
)
_NOT_CURVES = ("epoch", "crops", "outliers", "lr")


def chart_groups(records: Records) -> tuple[Group, ...]:
    """The charts that a log has figures for, grouped by the question that they answer."""
    if not records:
        return ()
    planned = {key for plan in (*RETRIEVAL, *CLUSTERS, *TRAINING) for key in plan.keys}
    others = tuple(_other_curves(records, planned))
    groups = (
        ("Does it find individuals?", tuple(_charts(RETRIEVAL, records))),
        (
            "Are the clusters sound?",
            (*_charts(CLUSTERS, records, rescues(records)), *_spread_chart(records)),
        ),
        ("Does training settle?", (*_charts(TRAINING, records), *_time_chart(records))),
        ("Other figures", tuple(_charts(others, records))),
    )
    return tuple(Group(title, charts) for title, charts in groups if charts)


def rescues(records: Records) -> dict[int, str]:
    """Epochs whose clustering failed and was mended, with what was done."""
    return {record["epoch"]: str(record["rescue"]) for record in records if record.get("rescue")}


def series(records: Records, key: str) -> tuple[tuple[float, float], ...]:
    """(epoch, value) of a logged figure, as it is shown; epochs without it are left out."""
    factor = quantity(key.rpartition(".")[2]).factor
    found = ((record["epoch"], look_up(record, key)) for record in records)
    return tuple((epoch, value * factor) for epoch, value in found if value is not None)


def _charts(
    plans: Sequence[Curves], records: Records, marks: Mapping[int, str] | None = None
) -> Iterator[Chart]:
    span = (records[0]["epoch"], records[-1]["epoch"])
    for plan in plans:
        lines = [Line(name, series(records, key)) for key, name in plan.keys.items()]
        if not any(line.points for line in lines):
            continue
        svg = line_chart(
            lines,
            title=plan.title,
            epochs=span,
            unit=quantity(next(iter(plan.keys)).rpartition(".")[2]).unit,
            y_range=plan.y_range,
            marks={epoch: f"epoch {epoch}: {text}" for epoch, text in (marks or {}).items()},
        )
        yield Chart(plan.title, plan.hint, svg)


def _spread_chart(records: Records) -> Iterator[Chart]:
    """Silhouettes of the first, the middle and the last epoch that logged them (CGC, Figure 3)."""
    logged = [(record["epoch"], counts) for record in records if (counts := _counts(record))]
    same = [pair for pair in logged if len(pair[1]) == len(logged[-1][1])]
    if not same:
        return
    chosen = dict.fromkeys((0, (len(same) - 1) // 2, len(same) - 1))
    histograms = {f"epoch {same[i][0]}": same[i][1] for i in chosen}
    title = "Spread of the silhouettes"
    svg = histogram_chart(histograms, title=title, x_name="silhouette")
    yield Chart(title, SPREAD_HINT, svg)


def _counts(record: Mapping[str, Any]) -> list[int]:
    """The record's histogram of silhouettes, [] where it has none that holds something."""
    logged = record.get("silhouettes")
    counts = logged.get("counts") if isinstance(logged, Mapping) else None
    if not isinstance(counts, list) or not any(counts):
        return []
    return counts if all(type(count) is int and count >= 0 for count in counts) else []


def _time_chart(records: Records) -> Iterator[Chart]:
    names = dict.fromkeys(
        name for record in records for name in numbers(record.get("seconds") or {})
    )
    if not names:
        return
    layers = [
        (name, {int(epoch): value for epoch, value in series(records, f"seconds.{name}")})
        for name in names
    ]
    span = (records[0]["epoch"], records[-1]["epoch"])
    svg = stacked_bars(layers, title="Time", epochs=span, unit=" s")
    total = sum(sum(parts.values()) for _, parts in layers)
    last = sum(parts.get(span[1], 0.0) for _, parts in layers)
    hint = f"{TIME_HINT} The last took {duration(last)}, all together {duration(total)}."
    yield Chart("Time per epoch", hint, svg)


def _other_curves(records: Records, planned: set[str]) -> Iterator[Curves]:
    """A plain chart for every figure that nothing else shows."""
    keys = dict.fromkeys(key for record in records for key in numbers(record))
    for key in keys:
        known = key in planned or key in _NOT_CURVES
        if known or key.startswith(("seconds.", "evaluation.", "against_identities.")):
            continue
        yield Curves(quantity(key).heading, f"Logged as {key}.", {key: ""}, (None, None))
