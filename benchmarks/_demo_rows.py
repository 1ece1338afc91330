"""The rows of the demo's table: methods, parts of them, and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EPOCHS = 10


@dataclass(frozen=True)
class DemoRow:
    """A row of the demo's table: a method, one row of a table of its paper, and other settings.

    chance: added to the seed of training, on the same world.
    """

    method: str
    table: str = ""
    row: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    chance: int = 0

    def recipe(self) -> Any:
        from resight.methods import recipe_for, table_of

        recipe = recipe_for(self.method).override({"optim.epochs": EPOCHS})
        if self.table:
            rows = {row.name: row for row in table_of(self.method, self.table).rows}
            recipe = rows[self.row].recipe(recipe)
        return recipe.override(self.settings)


def rows_of_demo() -> dict[str, DemoRow]:
    """Rows by name."""
    base, own, first = "cluster-contrast", "camera-contrast", EPOCHS // 2
    halves = {"teacher.epochs": first, "teacher.warm_up": 1.0, "optim.epochs": EPOCHS - first - 1}
    slow = {"memory.momentum": 0.1}
    nce = {"part": "ClusterNCE"}
    whole = [nce, *({**nce, "view": f"part{i}", "weight": 0.0} for i in (1, 2))]
    one_view = {"part": "Jaccard", "centre_cameras": True, "colour": 0.4}
    cameras = {
        "weights": {"part": "CameraEntropy"},
        "memory": {"part": "ClusterMemory", "update": "chd", "momentum": 0.8},
        "min_cluster_size": 4,
    }
    longer = {"optim.epochs": 2 * EPOCHS}
    return {
        base: DemoRow(base),
        f"{base}, trained again": DemoRow(base, chance=100),
        f"{base}, 20 epochs": DemoRow(base, settings=longer),
        f"{base} with labels": DemoRow(base, settings={"clusterer": {"part": "TrueLabels"}}),
        own: DemoRow(own),
        f"{own}, 20 epochs": DemoRow(own, settings=longer),
        f"{own} with labels": DemoRow(own, settings={"clusterer": {"part": "TrueLabels"}}),
        f"{base}: momentum 0.1": DemoRow(base, settings=slow),
        f"{base}: momentum 0.1, 16 x 4": DemoRow(
            base, settings={**slow, "batches.identities": 16, "batches.instances": 4}
        ),
        f"{base}: instances": DemoRow(base, settings={"memory": {"part": "InstanceMemory"}}),
        "cgc: CGC alone": DemoRow("cgc", "1", "Baseline + CGC"),
        "cgc: CGL alone": DemoRow("cgc", "1", "Baseline + CGL"),
        "cgc": DemoRow("cgc"),
        "cgc: beta 0.95": DemoRow("cgc", settings={"targets.beta": 0.95}),
        "3c: CIE alone": DemoRow(
            "3c", "1", "DBSCAN + CIE", {"memory": {"part": "ClusterMemory", "momentum": 0.8}}
        ),
        "3c: CHD alone": DemoRow("3c", "1", "DBSCAN"),
        "3c: CIE and CHD": DemoRow("3c", "1", "DBSCAN + CIE"),
        "3c: CIE and CHD, 20 epochs": DemoRow("3c", "1", "DBSCAN + CIE", longer),
        "3c": DemoRow("3c"),
        "3c: peripheral crops kept": DemoRow(
            "3c", settings={"clusterer.then.drop_peripheral": False}
        ),
        "lp: FP alone": DemoRow("lp", "II", "Baseline + FP"),
        "lp: fused graph alone": DemoRow("lp", settings={"losses": whole, "teacher": None}),
        "lp: losses of parts alone": DemoRow("lp", "II", "Baseline + FP", {"graph": one_view}),
        "lp: LP alone": DemoRow("lp", "II", "Baseline + LP"),
        "lp": DemoRow("lp"),
        "lp: LP alone, with CIE and CHD": DemoRow("lp", "II", "Baseline + LP", cameras),
        "lp, half the images each": DemoRow("lp", settings=halves),
        "acfl: base": DemoRow("acfl", "2", "Base."),
        "acfl: HPF": DemoRow("acfl", "2", "Base.+HPF"),
        "acfl: RE": DemoRow("acfl", "2", "Base.+RE"),
        "acfl: HPF and RE": DemoRow("acfl", "2", "Base.+HPF+RE"),
        "acfl": DemoRow("acfl"),
        "acfl: base, 20 epochs": DemoRow("acfl", "2", "Base.", longer),
        "acfl: HPF, 20 epochs": DemoRow("acfl", "2", "Base.+HPF", longer),
        "acfl: HPF and RE, 20 epochs": DemoRow("acfl", "2", "Base.+HPF+RE", longer),
    }
