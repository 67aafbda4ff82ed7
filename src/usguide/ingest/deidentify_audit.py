"""What a de-identification did: names and counts, never an old value or an old file's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usguide.ingest.deidentify_profile import Removal
from usguide.model import SourceKind

SCHEMA = "usguide/deid/1"

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """A de-identified copy, and what was done to make it.

    Parameters
    ----------
    output : Path
        The copy.
    kind : SourceKind
        Container family.
    frames : int
        Frames in it.
    region_px : (int, int, int, int)
        x, y, width and height of the picture that stays.
    blanked : float
        Share of each frame that is blanked, 0 to 1.
    texts_px : tuple of (int, int, int, int)
        Boxes of the texts found and blanked inside the picture.
    header : Removal
        What became of the attributes of a DICOM header.
    metadata : tuple of str
        Names of the entries and streams that a video or an image has lost.
    doubts : tuple of str
        What could not be checked, as sentences.
    notes : tuple of str
        What else the reader should know.
    region_lost : bool
        Whether the picture is not found in the copy where it was, and has to be given.
    spacing_mm : (float, float) or None
        Millimetres per pixel (x, y) that were read from the original and cannot be read from the
        copy: they have to be given too.
    """

    output: Path
    kind: SourceKind
    frames: int
    region_px: Box
    blanked: float
    texts_px: tuple[Box, ...] = ()
    header: Removal = field(default_factory=Removal)
    metadata: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    region_lost: bool = False
    spacing_mm: tuple[float, float] | None = None

    def needed(self) -> dict[str, Any]:
        """Return what ``open_clip`` has to be given to read the copy as the original was read."""
        given: dict[str, Any] = {}
        if self.region_lost:
            given["region"] = list(self.region_px)
        if self.spacing_mm is not None:
            given["spacing_mm"] = list(self.spacing_mm)
        return given

    def document(self) -> dict[str, Any]:
        """Return the audit of this copy for JSON."""
        return {
            "output": str(self.output),
            "kind": self.kind.value,
            "frames": self.frames,
            "removed": dict(sorted(self.header.removed.items())),
            "emptied": dict(sorted(self.header.emptied.items())),
            "replaced": dict(sorted(self.header.replaced.items())),
            "private_removed": self.header.private,
            "metadata_removed": list(self.metadata),
            "region_px": list(self.region_px),
            "blanked_share": round(self.blanked, 4),
            "texts_px": [list(box) for box in self.texts_px],
            "not_checked": list(self.doubts),
            "analyze_with": self.needed(),
            "notes": list(self.notes),
        }

    def sentences(self) -> list[str]:
        """Say what was done, what could not be checked, and what else matters."""
        x, y, width, height = self.region_px
        said = [
            f"wrote {self.output}: {self.frames} frame(s), {100 * self.blanked:.0f} % of each "
            f"blanked outside the picture of {width} x {height} px at {x},{y}."
        ]
        if self.kind is SourceKind.DICOM:
            header = self.header
            said.append(
                f"Header: {header.removed.total()} attributes and {header.private} private ones "
                f"removed, {header.emptied.total()} emptied ({', '.join(header.emptied)}), "
                f"{header.replaced.total()} replaced ({', '.join(header.replaced)})."
            )
            if header.removed:
                said.append(f"Removed: {', '.join(sorted(header.removed))}.")
        if self.metadata:
            said.append(f"Removed besides the pictures: {', '.join(self.metadata)}.")
        if self.texts_px:
            said.append(f"Text inside the picture blanked in {len(self.texts_px)} place(s).")
        said += [f"NOT CHECKED: {doubt}" for doubt in self.doubts]
        if self.needed():
            said.append(f"To measure the copy as the original, analyse it with {self._options()}.")
        said += [f"Note: {note}" for note in self.notes]
        return said

    def _options(self) -> str:
        """Return what is needed as options of the command line."""
        options = []
        if self.region_lost:
            options.append("--region " + ",".join(map(str, self.region_px)))
        if self.spacing_mm is not None:
            x, y = (f"{spacing:.6g}" for spacing in self.spacing_mm)
            options.append(f"--spacing {x if x == y else f'{x},{y}'}")
        return " ".join(options)


@dataclass(frozen=True, slots=True)
class Deidentified:
    """The copies of one run, and one sentence for every file that was left out."""

    copies: tuple[Copy, ...]
    left_out: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether everything given was copied and could be checked."""
        return not self.left_out and not any(copy.doubts for copy in self.copies)

    def document(self) -> dict[str, Any]:
        """Return the audit for JSON."""
        return {
            "schema": SCHEMA,
            "clean": self.clean,
            "left_out": len(self.left_out),
            "copies": [copy.document() for copy in self.copies],
        }

    def sentences(self) -> list[str]:
        """Return the audit for people, the verdict last."""
        said = [sentence for copy in self.copies for sentence in copy.sentences()]
        said += [f"Left out: {sentence}" for sentence in self.left_out]
        said.append(
            "Everything in reach of the checks is clean; look at a frame before you share it."
            if self.clean
            else "This is not verified clean: look at every frame before you share it."
        )
        return said
