"""What a user can ask for or is given is documented, and links lead somewhere."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import output_analyses as made
from usguide.cli import app
from usguide.output.result_json import result_document, result_schema
from usguide.output.tables import FRAME_COLUMNS
from usguide.request import CONFIGURABLE

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are not part of the package

from benchmarks.page import HEAD, PAGE

ROOT = Path(__file__).parents[1]

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_files_that_are_named_are_there() -> None:
    named = re.findall(r"`((?:src|tests|docs|benchmarks|sample_data)/[\w/.-]+)`", TEXT)
    assert "src/usguide/pipeline.py" in named
    modules = re.findall(r"`((?:fascia|muscle|needle|motion|model|output)/\w+\.\w+)`", TEXT)
    assert "needle/observations.py" in modules
    named += [f"src/usguide/{name}" for name in modules]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_benchmarks_begin_as_their_command_writes_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(HEAD)
    assert re.search(r"<!-- (\w+) -->.*<!-- end of \1 -->", text, flags=re.DOTALL)


def options() -> list[list[str]]:
    """Return every option of every command, under all its names."""
    commands = typer.main.get_command(app).commands.values()
    return [one.opts for command in commands for one in command.params if one.opts[0][0] == "-"]


def test_every_option_is_documented() -> None:
    assert ["--sides"] in options()
    unsaid = [
        names
        for names in options()
        if not any(re.search(rf"(?<![\w-]){name}\b", TEXT) for name in names)
    ]
    assert unsaid == []


def test_every_option_of_a_file_every_column_and_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert [
        name for name in CONFIGURABLE if not re.search(rf"^    {name} =|`{name}`", page, re.M)
    ] == []
    assert [name for name in FRAME_COLUMNS if f"`{name}`" not in page] == []
    document = result_document(made.measured(made.clip()))
    assert [key for key in document if f"`{key}`" not in page] == []


def keys(schema: object) -> Iterator[str]:
    """Every key that a JSON Schema names, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from keys(part)


def test_every_key_of_the_result_is_explained_at_any_depth() -> None:
    pages = [ROOT / "docs" / name for name in ("results.md", "measurements.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(keys(result_schema()))
    assert "peak_velocity_mm_s" in named
    assert [key for key in sorted(named) if not re.search(rf"\b{key}\b", text)] == []
