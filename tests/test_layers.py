"""Imports point downwards: folders of one level meet in the records, never in one another."""

import ast
from pathlib import Path

import pytest

import resight

ROOT = Path(resight.__file__).parent
GROUND = {"records", "slots", "schedules", "errors", "files", "progress", "device", "parts"}
PARTS = {"data", "models", "graph", "clustering", "memory", "losses"}
MAY_IMPORT: dict[str, set[str]] = {
    "records": set(),
    "schedules": set(),
    "errors": set(),
    "files": {"errors"},
    "progress": set(),
    "device": {"errors"},
    "parts": set(),
    "slots": {"records"},
    **dict.fromkeys(PARTS, GROUND),
    "recipe": GROUND | PARTS,
    "evaluation": GROUND | PARTS | {"recipe"},
    "inference": GROUND | PARTS | {"recipe"},
    "exporting": GROUND | PARTS | {"recipe", "inference"},
    "gallery": GROUND | PARTS | {"recipe", "evaluation", "inference"},
    "training": GROUND | PARTS | {"recipe", "evaluation"},
    "methods": GROUND | PARTS | {"recipe"},
    "reporting": GROUND | PARTS | {"recipe", "evaluation"},
    "service": {"errors", "files", "gallery", "inference", "records"},
    "api": GROUND
    | PARTS
    | {"recipe", "evaluation", "inference", "exporting", "gallery", "training", "methods"}
    | {"reporting", "service"},
    "cli": {"api", "errors", "methods", "recipe"},
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def home(path: Path) -> str:
    """The folder, or the module on the top level, that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """What a file imports of resight, at any depth of the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("resight.")}
    return found


def test_every_folder_has_a_level() -> None:
    assert {home(path) for path in FILES} <= set(MAY_IMPORT)


def test_no_level_imports_a_higher_one() -> None:
    order = [*GROUND, *PARTS, "recipe", "evaluation", "inference", "exporting", "gallery"]
    order += ["training", "methods", "reporting", "service", "api", "cli"]
    for name, below in MAY_IMPORT.items():
        assert all(order.index(other) < order.index(name) for other in below - GROUND)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    mine = home(path)
    above = imported(path) - MAY_IMPORT[mine] - {mine}
    assert not above, f"{mine} imports {sorted(above)}"
