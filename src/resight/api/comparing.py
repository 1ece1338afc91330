"""`resight compare`: how much better one run is than another, and what they did differently."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resight.errors import ConfigError, RunError
from resight.evaluation import Ranking
from resight.evaluation.bootstrap import paired
from resight.evaluation.options import AP_RULES, APRule
from resight.files import as_json
from resight.parts import to_plain
from resight.recipe import Recipe
from resight.records import IntArray
from resight.training.run_folder import RunFolder

FIGURES = ("mAP", "rank1", "mINP")
KEYS = ("path", "identity", "camera", "gallery_camera")
VALUES = ("ap_step", "ap_market", "inp")
COLUMNS = (*KEYS, *VALUES, "first")
ASKED = ("data", "layout", "camera_pattern", "seed", "precision", "compile", "strict")
EVALUATED = ("fuse", "rerank", "rerank_top", "expand")
SEEDS = (
    "the intervals tell how far the differences would move with other individuals; another seed of "
    "training moves them too"
)


@dataclass(frozen=True)
class Difference:
    """A figure less the first run's, in percentage points, and the interval of the difference."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """One run: its figures in percent, and how they differ from the first run's (none of its own).

    figures: mAP, rank1 and mINP.
    """

    run: str
    figures: Mapping[str, float]
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Comparison:
    """Runs on the same queries, and the settings that are not the same in all of them.

    level: of the intervals. settings: by dotted name, a value per run, None where a run lacks it.
    """

    protocol: str
    ap: str
    queries: int
    identities: int
    level: float
    runs: tuple[Compared, ...]
    settings: Mapping[str, tuple[Any, ...]]
    notes: tuple[str, ...] = (SEEDS,)

    def as_json(self) -> str:
        """All of it as JSON; numbers that are not finite become null."""
        return as_json(asdict(self), indent=2)


def compare(
    run_folders: Sequence[str | Path],
    *,
    level: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Figures of each run less those of the first, with paired bootstrap intervals over identities.

    run_folders: two or more, evaluated by `resight evaluate` on the same crops under the same
    protocol. A file of a run such as RUN/evaluation-reranked.json instead of the folder means that
    evaluation of it; the folder means RUN/evaluation.json. level: of the intervals, in (0, 1).
    samples, seed: of the bootstrap; see `resight.evaluation.bootstrap`.

    Raises ConfigError for fewer than two runs and numbers out of range, RunError for runs without
    results per query and for runs evaluated on different crops, on different queries of them, or
    under different protocols.
    """
    if len(run_folders) < 2:
        raise ConfigError(f"{len(run_folders)} run to compare, give two or more")
    bootstrap = _Bootstrap(samples, level, seed)
    first, *others = [_judged(Path(path)) for path in run_folders]
    for other in others:
        _check_alike(first, other)
    differing = [
        Compared(str(other.path), other.figures, bootstrap.differences(first, other))
        for other in others
    ]
    return Comparison(
        protocol=first.protocol,
        ap=first.ranking.rule,
        queries=len(first.keys),
        identities=len(set(first.identities)),
        level=level,
        runs=(Compared(str(first.path), first.figures, {}), *differing),
        settings=_differing_settings([first, *others]),
    )


@dataclass(frozen=True)
class _Bootstrap:
    """How differences are drawn; raises ConfigError for numbers out of range."""

    samples: int
    level: float
    seed: int

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 < self.level < 1:
            raise ConfigError(
                f"samples is {self.samples}, expected at least 1; level is {self.level:g}, "
                "expected a share between 0 and 1"
            )
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, expected 0 or more")

    def differences(self, first: _Judged, other: _Judged) -> dict[str, Difference]:
        """The figures of `other` less those of `first`."""
        identities = np.unique(first.identities, return_inverse=True)[1]
        spans = paired(
            first.ranking,
            other.ranking,
            identities,
            samples=self.samples,
            level=self.level,
            seed=self.seed,
        )
        return {
            figure: Difference(other.figures[figure] - first.figures[figure], *spans[figure])
            for figure in FIGURES
        }


@dataclass(frozen=True, eq=False)
class _Judged:
    """A run's counted queries in one order: what tells them apart, and their ranking.

    keys: (Q,) path, identity, camera, and of camera-pairs the camera searched in. options: what the
    protocol was told. n_crops, digest: of all crops that were judged.
    """

    path: Path
    protocol: str
    options: Mapping[str, Any]
    n_crops: int
    digest: str
    keys: list[tuple[str | None, ...]]
    ranking: Ranking
    settings: Mapping[str, Any]

    @property
    def figures(self) -> dict[str, float]:
        """Those that are compared, in percent."""
        every = self.ranking.figures()
        return {name: every[name] for name in FIGURES}

    @property
    def identities(self) -> list[str]:
        """(Q,) whom the queries show."""
        return [str(identity) for _, identity, *_ in self.keys]


def _judged(path: Path) -> _Judged:
    file = path if path.suffix == ".json" else path / "evaluation.json"
    folder = RunFolder.open(file.parent)
    about = _read(file, _object)
    if "ap" not in about:
        raise RunError(
            f"{path} was evaluated under protocol {about['protocol']!r}, which gives no result per "
            "query: evaluate it under one that ranks, such as 'cross-camera'"
        )
    if about.get("crops") is None:
        raise RunError(f"{file} does not say which crops it is of: evaluate the run again")
    table = _read(file.with_suffix(".parquet"), pq.read_table)
    lacking = [column for column in COLUMNS if column not in table.column_names]
    if lacking:
        raise RunError(
            f"{file.with_suffix('.parquet')} lacks {', '.join(lacking)}: evaluate the run again"
        )
    table = table.sort_by([("path", "ascending"), ("gallery_camera", "ascending")])
    return _Judged(
        path=path,
        protocol=str(about["protocol"]),
        options=about.get("options") or {},
        n_crops=about["crops"]["count"],
        digest=about["crops"]["digest"],
        keys=[*zip(*(table[key].to_pylist() for key in KEYS), strict=True)],
        ranking=_ranking(table, about["ap"]),
        settings=_settings(folder, about),
    )


def _ranking(table: pa.Table, rule: APRule) -> Ranking:
    """What an evaluation wrote of its queries, in groups where it searched a camera at a time."""
    first = cast(IntArray, table["first"].to_numpy().astype(np.int64))
    values = {key: table[key].to_numpy().astype(np.float64) for key in VALUES}
    groups = None
    if table["gallery_camera"].null_count < len(table):
        pairs = zip(table["camera"].to_pylist(), table["gallery_camera"].to_pylist(), strict=True)
        number: dict[tuple[str, str], int] = {}
        groups = np.array([number.setdefault(pair, len(number)) for pair in pairs])
    return Ranking(**values, first=first, searched=first > 0, rule=rule, groups=groups)


def _object(file: Path) -> dict[str, Any]:
    """What an evaluation says of itself."""
    value = json.loads(file.read_text())
    if not isinstance(value, dict) or "protocol" not in value:
        raise ValueError("it names no protocol")
    if value.get("ap", "step") not in AP_RULES:
        raise ValueError(f"its ap is {value['ap']!r}")
    crops = value.get("crops")
    if crops is not None and not (
        isinstance(crops, dict) and isinstance(crops.get("count"), int) and "digest" in crops
    ):
        raise ValueError("its crops have no count and digest")
    return value


def _read(file: Path, parse: Callable[[Path], Any]) -> Any:
    """What a file of an evaluation holds; raises RunError when it is missing or damaged."""
    if not file.exists():
        raise RunError(
            f"{file} does not exist: write it with `resight evaluate {file.parent}`, under a "
            "protocol that ranks"
        )
    try:
        return parse(file)
    except (OSError, TypeError, ValueError, pa.ArrowException) as error:
        raise RunError(f"{file} is damaged ({error}): evaluate the run again") from error


def _check_alike(first: _Judged, other: _Judged) -> None:
    """Raise RunError unless the two can be compared query by query."""
    rules = [(one.protocol, one.ranking.rule) for one in (first, other)]
    if rules[0] != rules[1]:
        raise RunError(
            f"{first.path} was evaluated under protocol {rules[0][0]!r} (ap {rules[0][1]}), "
            f"{other.path} under {rules[1][0]!r} (ap {rules[1][1]}): evaluate both alike"
        )
    if first.options != other.options:
        told = [_told(one.options) for one in (first, other)]
        raise RunError(
            f"{first.path} was evaluated with {told[0]}, {other.path} with {told[1]}: "
            "evaluate both alike"
        )
    if first.keys != other.keys:
        common = len({*first.keys} & {*other.keys})
        raise RunError(
            f"{first.path} was evaluated on {len(first.keys):,} queries and {other.path} on "
            f"{len(other.keys):,}, {common:,} of them the same: evaluate both on the same data"
        )
    if (first.n_crops, first.digest) != (other.n_crops, other.digest):
        raise RunError(
            f"{first.path} was evaluated on {first.n_crops:,} crops and {other.path} on "
            f"{other.n_crops:,}, not all of them the same in picture, name, split, identity, "
            "camera, track and time: evaluate both on the same data"
        )


def _told(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _settings(folder: RunFolder, about: Mapping[str, Any]) -> dict[str, Any]:
    """All that may set a run apart, by dotted name: recipe, what was asked for, evaluation."""
    asked = asdict(folder.settings())
    recipe = to_plain(folder.recipe(), annotated=Recipe)
    evaluated = {f"evaluation.{key}": about[key] for key in EVALUATED if key in about}
    return {**_flat(recipe, ""), **{key: asked[key] for key in ASKED}, **evaluated}


def _flat(value: Any, name: str) -> dict[str, Any]:
    """Nested mappings, and lists of them, by dotted names; other lists are values."""
    if isinstance(value, Mapping):
        items = [*value.items()]
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        items = [*enumerate(value)]
    else:
        return {name: value}
    flat: dict[str, Any] = {}
    for key, inner in items:
        flat |= _flat(inner, f"{name}.{key}" if name else str(key))
    return flat


def _differing_settings(judged: Sequence[_Judged]) -> dict[str, tuple[Any, ...]]:
    names = dict.fromkeys(name for one in judged for name in one.settings)
    values = {name: tuple(one.settings.get(name) for one in judged) for name in names}
    return {name: row for name, row in values.items() if any(v != row[0] for v in row[1:])}
