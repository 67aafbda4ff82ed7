"""What stays in the header of a de-identified DICOM file.

The Basic Application Level Confidentiality Profile (PS3.15 Annex E, Table E.1-1) names the
attributes that must go. Here it is turned round: an attribute stays only if it is named, so
that whatever the table names, whatever a vendor adds and whatever a later edition defines is
removed: ``deidentify_attributes`` has the names.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import struct
import uuid
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID

from usguide.ingest.deidentify_attributes import (
    EMPTIED,
    IDENTIFYING,
    KEPT,
    PSEUDONYMS,
    REGION,
    REMAPPED,
    REWRITTEN,
)
from usguide.ingest.dicom_header import FRAME_TIME, FRAME_TIME_VECTOR

_UNREADABLE = (
    BytesLengthException,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    NotImplementedError,
    OverflowError,
    struct.error,
)
"""What pydicom raises on a value that is not of its type; such an element is removed."""

_HANDLED = REWRITTEN | {*REMAPPED, *EMPTIED, *PSEUDONYMS}
"""Attributes of the recording itself that are written anew, whatever they were."""
_TIME_POINTERS = frozenset({FRAME_TIME, FRAME_TIME_VECTOR})
"""All that FrameIncrementPointer may point at here."""
_STANDARD_ROOT = "1.2.840.10008."
"""Root of the UIDs that DICOM itself assigns (PS3.6 Annex A)."""
_CODE = re.compile(r"[A-Z0-9 _.]{0,16}")
"""Characters of a coded string (PS3.5 6.2); anything else under such a name is free text."""
_WORD = re.compile(r"[^\W_]{3,}")


@dataclass(slots=True)
class Removal:
    """What happened to the header: names and counts, never values.

    Parameters
    ----------
    removed, emptied, replaced : Counter of str
        How often an attribute of that name was removed, emptied or replaced.
    private : int
        Private attributes removed.
    """

    removed: Counter[str] = field(default_factory=Counter)
    emptied: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    private: int = 0

    def lost(self, tag: BaseTag) -> None:
        """Count an attribute that is removed, by its name where it has one."""
        if tag.is_private:
            self.private += 1
        else:
            self.removed[keyword_for_tag(tag) or str(tag)] += 1


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """New names for old identifiers, the same within a run and unrelated between runs.

    Parameters
    ----------
    secret : bytes
        Drawn at random and never stored, so that nobody can recompute the names.
    """

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def uid(self, old: str) -> UID:
        """Return a new UID (PS3.5 B.2); an empty one gets one of its own."""
        digest = self._digest("uid", old or secrets.token_hex(16))
        return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")

    def patient(self, name: str, number: str) -> str:
        """Return a pseudonym for a patient, by number or, without one, by name."""
        return f"ANON-{self._digest('patient', number or name).hex()[:12].upper()}"

    def _digest(self, kind: str, old: str) -> bytes:
        return hmac.new(self.secret, f"{kind}\0{old}".encode(), hashlib.sha256).digest()


def clean_header(original: Dataset, pseudonyms: Pseudonyms) -> tuple[Dataset, Removal]:
    """Build a header from what may stay of another.

    Parameters
    ----------
    original : Dataset
        Header of the recording; not changed.
    pseudonyms : Pseudonyms
        Of this run.

    Returns
    -------
    Dataset
        Without anything that describes the stored pixels.
    Removal
        What became of the others.
    """
    audit = Removal()
    clean = _kept(original, KEPT, _HANDLED, _identifying_words(original), audit)
    for keyword in REMAPPED:
        setattr(clean, keyword, pseudonyms.uid(_text(original, keyword)))
        audit.replaced[keyword] += keyword in original
    for keyword in EMPTIED:
        setattr(clean, keyword, "")
        audit.emptied[keyword] += keyword in original
    name = pseudonyms.patient(_text(original, "PatientName"), _text(original, "PatientID"))
    for keyword in PSEUDONYMS:
        setattr(clean, keyword, name)
        audit.replaced[keyword] += keyword in original
    clean.setdefault("Manufacturer", "")
    clean.setdefault("Modality", "US")
    clean.setdefault("SeriesNumber", None)
    clean.setdefault("InstanceNumber", None)
    audit.replaced, audit.emptied = +audit.replaced, +audit.emptied
    return clean, audit


def state_deidentification(clean: Dataset, *, checked: bool) -> None:
    """Write down what was done (PS3.15 E.1.1, E.3.1): all of it only where it could be checked."""
    clean.PatientIdentityRemoved = "YES" if checked else "NO"
    clean.BurnedInAnnotation = "NO" if checked else "YES"
    clean.LongitudinalTemporalInformationModified = "REMOVED"
    clean.DeidentificationMethod = f"usguide {version('usguide')} deid"
    codes = [("113100", "Basic Application Confidentiality Profile")]
    if checked:
        codes.append(("113101", "Clean Pixel Data Option"))
    clean.DeidentificationMethodCodeSequence = [_code(*code) for code in codes]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _kept(
    original: Dataset,
    keep: frozenset[str],
    handled: frozenset[str],
    identifying: frozenset[str],
    audit: Removal,
) -> Dataset:
    """Copy the elements to keep whose values are what their names promise.

    Those handled elsewhere are neither copied nor counted as removed.
    """
    clean = Dataset()
    for tag in original.keys():  # noqa: SIM118 - iterating a dataset would parse every element
        keyword = keyword_for_tag(tag)
        if keyword in keep and _keep(original, tag, clean, identifying, audit):
            continue
        if keyword not in handled:
            audit.lost(tag)
    return clean


def _keep(
    original: Dataset,
    tag: BaseTag,
    clean: Dataset,
    identifying: frozenset[str],
    audit: Removal,
) -> bool:
    """Copy one element if its value is sound; return whether it was."""
    try:
        element = original[tag]
        value: Any = element.value
    except _UNREADABLE:
        return False
    if element.VR not in dictionary_VR(tag).split(" or "):
        return False
    if element.VR == "SQ":
        value = [_kept(item, REGION, frozenset(), identifying, audit) for item in value]
    elif element.VR == "AT":
        if not {int(pointer) for pointer in _values(value)} <= _TIME_POINTERS:
            return False
    elif element.VR in ("CS", "LO", "SH"):
        texts = [str(text) for text in _values(value)]
        if element.VR == "CS" and not all(_CODE.fullmatch(text) for text in texts):
            return False
        if identifying & {word.lower() for text in texts for word in _WORD.findall(text)}:
            return False
    elif element.VR == "UI":
        # A class of objects; any other root could be an organisation's own.
        if not str(value).startswith(_STANDARD_ROOT):
            return False
    elif element.VR not in ("US", "SS", "UL", "SL", "FL", "FD", "DS", "IS"):
        return False
    try:
        clean.add_new(tag, element.VR, value)
    except _UNREADABLE:
        return False
    return True


def _identifying_words(original: Dataset) -> frozenset[str]:
    """Words of names and numbers that must not turn up in a text that is kept."""
    words: set[str] = set()
    for tag in original.keys():  # noqa: SIM118
        keyword = keyword_for_tag(tag)
        if keyword in IDENTIFYING:
            words |= {word.lower() for word in _WORD.findall(_text(original, keyword))}
    return frozenset(words)


def _values(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (list, tuple, MultiValue)) else [value]


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
        return "" if value is None else str(value).strip()
    except _UNREADABLE:
        return ""
