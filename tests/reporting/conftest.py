"""A synthetic run folder: people drawn with PIL, figures that improve as a good run's do."""

from __future__ import annotations

import colorsys
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from resight.evaluation.rates import Rate
from resight.evaluation.threshold import Threshold

CAMERAS = ("c1", "c2", "c3", "c4")
RECIPE = """\
name: cluster-contrast
size: [256, 128]
encoder: {backbone: efficientnet_lite0, pooling: gem}
graph: {jaccard: {k1: 30, k2: 6}}
clusterer: {dbscan: {eps: 0.6, min_samples: 4}}
optim: {epochs: 20, lr: 0.00035}
"""


@dataclass(frozen=True)
class Crop:
    path: str
    identity: int
    camera: str


def draw_person(identity: int, camera: int, rng: np.random.Generator) -> Image.Image:
    hue, other = (identity * 0.381) % 1, (identity * 0.617 + 0.3) % 1
    light = 0.6 + 0.1 * camera + rng.uniform(-0.05, 0.05)

    def colour(h: float, s: float) -> tuple[int, ...]:
        return tuple(int(255 * v) for v in colorsys.hsv_to_rgb(h, s, min(light, 1.0)))

    picture = Image.new("RGB", (64, 128), colour(0.1 * camera, 0.15))
    draw = ImageDraw.Draw(picture)
    x, y = rng.integers(-4, 5, 2).tolist()
    draw.ellipse((25 + x, 10 + y, 39 + x, 28 + y), fill=colour(0.07, 0.35))
    draw.rounded_rectangle((19 + x, 29 + y, 45 + x, 72 + y), 6, fill=colour(hue, 0.75))
    draw.rectangle((22 + x, 72 + y, 30 + x, 118 + y), fill=colour(other, 0.6))
    draw.rectangle((34 + x, 72 + y, 42 + x, 118 + y), fill=colour(other, 0.6))
    return picture


def draw_crops(root: Path, *, identities: int, per_camera: int) -> list[Crop]:
    rng = np.random.default_rng(0)
    crops = []
    root.mkdir(parents=True)
    for identity in range(1, identities + 1):
        for camera, name in enumerate(CAMERAS):
            for shot in range(per_camera):
                crop = Crop(f"{identity:04d}_{name}_{shot}.jpg", identity, name)
                draw_person(identity, camera, rng).save(root / crop.path, quality=88)
                crops.append(crop)
    return crops


def silhouette_counts(centre: float, crops: float) -> list[int]:
    middles = np.linspace(-0.975, 0.975, 40)
    hill = np.exp(-0.5 * ((middles - centre) / 0.16) ** 2)
    return [int(n) for n in np.floor(crops * hill / hill.sum())]


def epoch_record(epoch: int, epochs: int) -> dict[str, object]:
    t = epoch / epochs
    wave = 0.02 * math.sin(3.1 * epoch)
    record: dict[str, object] = {
        "epoch": epoch,
        "loss": 3.2 * math.exp(-2.2 * t) + 0.6 + wave,
        "lr": 0.00035 * (0.1 if t > 0.6 else 1.0),
        "seconds": {"extract": 3.1 + wave, "cluster": 0.6 + t, "train": 25.0 + 40 * wave},
        "clusters": round(140 - 62 * t + 60 * wave),
        "outliers": round(400 * (1 - t) + 90),
        "outlier_share": 0.25 * (1 - t) + 0.04 + wave / 3,
        "mean_size": 9 + 9 * t,
        "median_size": 7 + 8 * t,
        "silhouette": 0.12 + 0.3 * t + wave,
        "silhouettes": {"counts": silhouette_counts(0.05 + 0.3 * t, 400 + 500 * t)},
        "camera_entropy": None if epoch == 1 else 0.7 + 0.9 * t,
        "identity_camera_entropy": 1.7,
        "across_cameras": 0.42 + 0.45 * t + wave,
        "against_identities": {
            "ari": 0.3 + 0.45 * t + wave,
            "nmi": 0.7 + 0.2 * t,
            "precision": 0.72 + 0.15 * t + wave,
            "recall": 0.35 + 0.45 * t,
            "f1": 0.47 + 0.36 * t,
            "identity_consistency": None if epoch == 2 else 0.06 + 0.11 * t + wave / 9,
            "identity_consistency_anchors": None if epoch == 2 else 0.04 + 0.09 * t,
        },
    }
    if epoch > 1:
        record["agreement"] = 0.45 + 0.45 * t + wave
    if epoch == 2:
        record["rescue"] = "one cluster holds 93% of the crops; used eps 0.45 for this epoch"
    if epoch % 5 == 0 or epoch == epochs:
        record["evaluation"] = {"mAP": 22 + 39.3 * t, "rank1": 38 + 39.3 * t, "rank5": 60 + 30 * t}
    return record


def figures(m_ap: float) -> dict[str, float]:
    rank1 = m_ap + 16
    return {
        "mAP": m_ap,
        "mAP_market": m_ap - 0.4,
        "rank1": rank1,
        "rank5": min(rank1 + 12, 99),
        "rank10": min(rank1 + 16, 99.4),
        "mINP": m_ap * 0.45,
    }


def ranked_list(kind: str, ap: float, query: Crop, crops: list[Crop]) -> dict[str, object]:
    rng = np.random.default_rng(query.identity)
    right = [c for c in crops if c.identity == query.identity and c.camera != query.camera]
    wrong = [c for c in crops if c.identity != query.identity]
    matches = []
    if kind != "best":
        own = next(c for c in crops if (c.identity, c.camera) == (query.identity, query.camera))
        seen = {"path": own.path, "camera": own.camera, "similarity": 0.95}
        matches.append({**seen, "right": False, "dropped": True})
    for rank in range(10):
        is_right = bool(rng.random() < ap)
        pool = right if is_right else wrong
        crop = pool[int(rng.integers(len(pool)))]
        similarity = 0.92 - 0.04 * rank
        matches.append(
            {"path": crop.path, "camera": crop.camera, "similarity": similarity, "right": is_right}
        )
    about = {"path": query.path, "camera": query.camera, "identity": f"{query.identity:04d}"}
    return {"kind": kind, "query": about, "ap": ap, "matches": matches}


def evaluation(root: Path, crops: list[Crop]) -> dict[str, object]:
    rng = np.random.default_rng(1)
    n = len(CAMERAS)
    table = [[None if i == j else float(rng.uniform(25, 80)) for j in range(n)] for i in range(n)]
    queries = rng.permutation(len(crops))[:6]
    kinds = [("best", 0.97), ("best", 0.95), ("typical", 0.6), ("typical", 0.58)]
    kinds += [("worst", 0.15), ("worst", 0.1)]
    return {
        "root": str(root),
        "protocol": "market1501",
        "figures": figures(61.3),
        "notes": ["12 queries without a match in the gallery dropped"],
        "ap": "step",
        "cmc": cmc(70),
        "map": map_entries(crops),
        "comparison": [
            {"name": "colour histograms", "figures": figures(9.8), "cmc": cmc(26)},
            {"name": "ImageNet features, untrained", "figures": figures(24.2), "cmc": cmc(40)},
            {"name": "trained without labels", "figures": figures(61.3)},
            {"name": "trained with labels (bound)", "figures": figures(74.9), "cmc": cmc(91)},
        ],
        "ranked_lists": [
            ranked_list(kind, ap, crops[int(q)], crops)
            for (kind, ap), q in zip(kinds, queries, strict=True)
        ],
        "camera_matrix": {"cameras": list(CAMERAS), "mAP": table},
    }


def cmc(rank1: float) -> list[float]:
    return [100 - (100 - rank1) * 0.93**k for k in range(50)]


def map_entries(crops: list[Crop]) -> list[dict[str, object]]:
    """Islands on a spiral, as loose as the identity's number is high."""
    rng = np.random.default_rng(2)
    entries = []
    for crop in crops:
        turn = 2.4 * crop.identity
        far = 0.09 * math.sqrt(crop.identity)
        x, y = rng.normal((far * math.cos(turn), far * math.sin(turn)), 0.012 + crop.identity / 900)
        entries.append(
            {
                "x": min(max(0.5 + float(x), 0.0), 1.0),
                "y": min(max(0.5 + float(y), 0.0), 1.0),
                "identity": f"{crop.identity:04d}",
                "camera": crop.camera,
                "path": crop.path,
            }
        )
    return entries


def write_queries(run: Path, crops: list[Crop]) -> None:
    rng = np.random.default_rng(3)
    weak = np.array([crop.camera == "c3" for crop in crops])
    first = rng.geometric(np.where(weak, 0.35, 0.7))
    wrong = [
        CAMERAS[int(rng.integers(len(CAMERAS)))] if rng.random() < 0.6 else crop.camera
        for crop in crops
    ]
    table = pa.table(
        {
            "path": [crop.path for crop in crops],
            "identity": [f"{crop.identity:04d}" for crop in crops],
            "camera": [crop.camera for crop in crops],
            "ap_step": 1 / first,
            "ap_market": 0.9 / first,
            "inp": 0.5 / first,
            "first": first,
            "first_wrong_camera": wrong,
        }
    )
    pq.write_table(table, run / "evaluation.parquet")


def write_threshold(run: Path) -> None:
    middles = (np.arange(256) + 0.5) / 128 - 1

    def hill(centre: float, width: float, pairs: int) -> tuple[int, ...]:
        shape = np.exp(-0.5 * ((middles - centre) / width) ** 2)
        return tuple(int(n) for n in pairs * shape / shape.sum())

    Threshold(
        similarity=0.515625,
        far=0.001,
        false_accept=Rate(96, 99_800, 0.0006, 0.0016),
        false_reject=Rate(410, 2_900, 0.11, 0.18),
        genuine=hill(0.65, 0.13, 2_900),
        impostor=hill(0.18, 0.1, 99_800),
        source="identities",
        cross_camera=True,
        crops=1_200,
        identities=60,
        notes=("calibrated on the crops that the encoder was trained on: expect more errors",),
    ).write(run / "threshold.json")


def write_labels(run: Path, epoch: int, crops: list[Crop]) -> None:
    rng = np.random.default_rng(epoch)
    labels = np.array([crop.identity - 1 for crop in crops], dtype=np.int64)
    labels[rng.random(len(labels)) < 0.1] = -1
    table = pa.table(
        {
            "path": [crop.path for crop in crops],
            "label": labels,
            "camera": [crop.camera for crop in crops],
        }
    )
    (run / "labels").mkdir(exist_ok=True)
    pq.write_table(table, run / "labels" / f"epoch_{epoch:03d}.parquet")


def build_run(folder: Path, *, identities: int = 18, per_camera: int = 4, epochs: int = 20) -> Path:
    """A complete run folder inside `folder`; its crops lie beside it."""
    root, run = folder / "street", folder / "run"
    crops = draw_crops(root, identities=identities, per_camera=per_camera)
    run.mkdir()
    about = {"format": 1, "resight": "0.1.0", "data": str(root), "seed": 0, "device": "auto"}
    (run / "run.json").write_text(json.dumps(about))
    (run / "recipe.yaml").write_text(RECIPE)
    records = [epoch_record(epoch, epochs) for epoch in range(1, epochs + 1)]
    (run / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    write_labels(run, epochs, crops)
    (run / "evaluation.json").write_text(json.dumps(evaluation(root, crops)))
    write_queries(run, crops)
    write_threshold(run)
    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One complete run, shared by tests that do not change it."""
    return build_run(tmp_path_factory.mktemp("finished"), identities=12, per_camera=3)


@pytest.fixture
def own_run(tmp_path: Path) -> Path:
    """A small complete run for tests that change it."""
    return build_run(tmp_path, identities=6, per_camera=2, epochs=6)
