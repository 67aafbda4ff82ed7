"""Which attributes of a DICOM header a de-identified copy may have, and which it must have.

None of those that stay is in Table E.1-1 of DICOM PS3.15; what is named nowhere here goes.
"""

from __future__ import annotations

WHAT = frozenset(
    {
        "SOPClassUID",
        "Modality",
        "ImageType",
        "ConversionType",
        "Manufacturer",
        "ManufacturerModelName",
        "SeriesNumber",
        "InstanceNumber",
        "PatientOrientation",
        "Laterality",
        "ImageLaterality",
        "BodyPartExamined",
    }
)
"""What kind of object it is, and its place in the series."""
HOW = frozenset(
    {
        "LossyImageCompression",
        "LossyImageCompressionRatio",
        "LossyImageCompressionMethod",
        "UltrasoundColorDataPresent",
        "TransducerFrequency",
        "PulseRepetitionFrequency",
        "MechanicalIndex",
        "BoneThermalIndex",
        "CranialThermalIndex",
        "SoftTissueThermalIndex",
        "DepthOfScanField",
        "DepthsOfFocus",
        "FocusDepth",
    }
)
"""How the picture was made."""
WHEN = frozenset(
    {
        "FrameIncrementPointer",
        "FrameTime",
        "FrameTimeVector",
        "FrameDelay",
        "CineRate",
        "RecommendedDisplayFrameRate",
        "EffectiveDuration",
        "ActualFrameDuration",
        "PreferredPlaybackSequencing",
        "StartTrim",
        "StopTrim",
    }
)
"""Time within the recording; no date and no time of day."""
WHERE = frozenset({"SequenceOfUltrasoundRegions", "PixelSpacing", "PixelAspectRatio"})
"""The scale."""
REGION = frozenset(
    {
        "RegionSpatialFormat",
        "RegionDataType",
        "RegionFlags",
        "RegionLocationMinX0",
        "RegionLocationMinY0",
        "RegionLocationMaxX1",
        "RegionLocationMaxY1",
        "ReferencePixelX0",
        "ReferencePixelY0",
        "ReferencePixelPhysicalValueX",
        "ReferencePixelPhysicalValueY",
        "PhysicalUnitsXDirection",
        "PhysicalUnitsYDirection",
        "PhysicalDeltaX",
        "PhysicalDeltaY",
        "TransducerFrequency",
        "PulseRepetitionFrequency",
        "DopplerCorrectionAngle",
        "SteeringAngle",
        "PixelComponentOrganization",
        "PixelComponentPhysicalUnits",
        "PixelComponentDataType",
    }
)
"""Of an ultrasound region (PS3.3 C.8.5.5): numbers only."""
KEPT = WHAT | HOW | WHEN | WHERE

REMAPPED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""Replaced by new UIDs, the same for the same old one within a run."""
EMPTIED = (
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
"""Required by the ultrasound IODs, but may be empty."""
PSEUDONYMS = ("PatientName", "PatientID")
"""Required, and replaced by a pseudonym, the same for the same patient within a run."""
REWRITTEN = frozenset(
    {
        "SpecificCharacterSet",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelData",
        "RedPaletteColorLookupTableDescriptor",
        "GreenPaletteColorLookupTableDescriptor",
        "BluePaletteColorLookupTableDescriptor",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
    }
)
"""Describe the stored pixels, which are written anew: neither kept nor lost."""

IDENTIFYING = frozenset(
    {
        *PSEUDONYMS,
        "OtherPatientIDs",
        "OtherPatientNames",
        "AccessionNumber",
        "StudyID",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "StationName",
        "ReferringPhysicianName",
        "PerformingPhysicianName",
        "OperatorsName",
    }
)
"""Whose words must not turn up in a text that is kept."""
