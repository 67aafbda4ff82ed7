"""Who may import whom: data flows left to right and nothing reaches back."""

import ast
from pathlib import Path

import pytest

import usguide

PACKAGE = Path(usguide.__file__).parent

BASE = {"errors", "model"}
ALLOWED = {
    "errors": set(),
    "kernels": set(),
    "model": {"errors"},
    "ingest": BASE | {"kernels"},
    "fascia": BASE | {"kernels"},
    "muscle": BASE | {"kernels"},
    "needle": BASE | {"kernels"},
    "motion": BASE | {"kernels"},
    "synth": BASE | {"kernels"},
    "output": BASE,
    "pipeline": BASE | {"ingest", "kernels", "fascia", "muscle", "needle", "motion"},
    "request": BASE,
    "examination": BASE | {"ingest", "pipeline", "output"},
    "followup": BASE | {"ingest", "pipeline", "output", "request"},
    "batch": BASE | {"ingest", "pipeline", "output", "examination", "request", "followup"},
    "cli": BASE
    | {"ingest", "pipeline", "output", "synth", "examination", "request", "batch", "followup"},
    "__main__": {"cli"},
}


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "usguide"}


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_what_its_layer_may(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    reached = {part_of(name) for name in imports(path)} - {layer}
    if layer in {"cli", "pipeline", "output", "batch", "followup"}:
        reached -= {"__version__"}
    assert layer in ALLOWED, f"no rule for {layer}"
    assert reached <= ALLOWED[layer]
