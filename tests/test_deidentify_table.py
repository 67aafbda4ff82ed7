"""The header of a copy against the whole of Table E.1-1 of DICOM PS3.15, edition 2026c.

The table is that of another de-identifier, so that a slip here is not repeated in the test.
"""

from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from usguide.ingest.deidentify_attributes import EMPTIED, KEPT, PSEUDONYMS, REGION, REMAPPED
from usguide.ingest.deidentify_profile import Pseudonyms, clean_header, state_deidentification

selector = pytest.importorskip(
    "dicomanonymizer.dicomfields_selector", reason="needs the package dicom-anonymizer"
)

ACTIONS = {
    tag: name.removesuffix("_TAGS").split("_")
    for name, tags in selector.dicom_anonymization_database_selector("dicomfields_2026c").items()
    if name != "ALL_TAGS"
    for tag in tags
}
"""Alternative actions of the basic profile, by (group, element) or repeating group and masks."""
SINGLE = {Tag(*tag): actions for tag, actions in ACTIONS.items() if len(tag) == 2}
REPEATING = {Tag(tag[0] + 2, tag[1]): actions for tag, actions in ACTIONS.items() if len(tag) == 4}
"""Of curves and overlays, the second group of each: (5002,0000), (6002,3000) and (6002,4000)."""
NAMES = (("UI", "1.2.3.198765"), ("DA", "19570412"), ("TM", "081653"), ("AS", "067Y"))
IDENTITY = "IDENTITY"


def holding_identities(tags: set[Tag]) -> Dataset:
    """Return a header in which every one of these attributes holds an identity."""
    nested = Dataset()
    nested.PatientName = IDENTITY
    values = dict(NAMES) | {"DT": "19570412081653", "UR": "http://IDENTITY"}
    header = Dataset()
    for tag in tags:
        vr = dictionary_VR(tag).split(" or ")[0] if dictionary_has_tag(tag) else "UN"
        if vr == "SQ":
            header.add(DataElement(tag, "SQ", Sequence([nested])))
        elif vr in ("OB", "OW", "UN"):
            header.add(DataElement(tag, vr, IDENTITY.encode()))
        elif vr in ("US", "UL", "FL", "FD", "DS", "IS"):
            header.add(DataElement(tag, vr, 198765 % 60000))
        else:
            header.add(DataElement(tag, vr, values.get(vr, IDENTITY)))
    return header


def test_the_table_is_there() -> None:
    assert len(SINGLE) > 640
    assert len(REPEATING) == 3
    assert SINGLE[Tag("PatientName")] == ["Z"]
    assert SINGLE[Tag("SOPInstanceUID")] == ["U"]


def test_nothing_that_the_table_names_is_among_what_stays() -> None:
    named = {keyword_for_tag(tag) for tag in SINGLE} - {""}
    assert not named & (KEPT | REGION)


def test_every_attribute_of_the_table_is_treated_as_it_says() -> None:
    tags = {*SINGLE, *REPEATING}
    clean, audit = clean_header(holding_identities(tags), Pseudonyms())
    # What stays with an empty or another value is what an ultrasound image has to have
    # (type 1 and 2 of PS3.3); E.1.1 lets all others be removed, whatever their action.
    for tag in tags & set(clean.keys()):
        keyword, actions = keyword_for_tag(tag), SINGLE[tag]
        if keyword in EMPTIED:
            assert "Z" in actions, keyword
            assert clean[tag].value in ("", None), keyword
        elif keyword in PSEUDONYMS:
            assert "Z" in actions, keyword
            assert str(clean[tag].value).startswith("ANON-"), keyword
        else:
            assert keyword in REMAPPED
            assert actions == ["U"], keyword
            assert clean[tag].value.startswith("2.25."), keyword
    assert audit.removed.total() == len(tags) - len(tags & set(clean.keys()))
    for _, value in (*NAMES, ("LO", IDENTITY)):
        assert value not in str(clean)


def test_nothing_of_the_table_stays_in_a_sequence_that_stays() -> None:
    header = Dataset()
    header.SOPClassUID = "1.2.3.198765"  # kept where it is one of DICOM's own
    region = holding_identities({*SINGLE, *REPEATING})
    region.PhysicalDeltaX = 0.01
    header.SequenceOfUltrasoundRegions = [region]
    clean, audit = clean_header(header, Pseudonyms())
    (item,) = clean.SequenceOfUltrasoundRegions
    assert [element.keyword for element in item] == ["PhysicalDeltaX"]
    assert "SOPClassUID" not in clean
    assert audit.removed.total() == len(SINGLE) + len(REPEATING) + 1


@pytest.mark.parametrize("checked", [True, False])
def test_no_option_is_claimed_that_is_not_taken(checked: bool) -> None:
    clean, _ = clean_header(holding_identities(set(SINGLE)), Pseudonyms())
    state_deidentification(clean, checked=checked)
    codes = {(item.CodingSchemeDesignator, item.CodeValue) for item in _codes(clean)}
    # CID 7050: the profile, and the pixels where they could be checked; no retaining option.
    assert codes == {("DCM", "113100"), *([("DCM", "113101")] if checked else [])}
    assert clean.PatientIdentityRemoved == ("YES" if checked else "NO")
    assert clean.BurnedInAnnotation == ("NO" if checked else "YES")
    assert len(clean.DeidentificationMethod) <= 64


def _codes(clean: Dataset) -> Sequence:
    return clean.DeidentificationMethodCodeSequence
