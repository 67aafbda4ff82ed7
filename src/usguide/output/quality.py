"""What a recording is and how far its scale and timing can be trusted, in words."""

from __future__ import annotations

from usguide.model import Calibration, Header, SourceKind, Timing, TimingSource

_KINDS = {
    SourceKind.DICOM: "DICOM",
    SourceKind.VIDEO: "video",
    SourceKind.IMAGE: "single image",
    SourceKind.IMAGES: "series of images",
    SourceKind.ARRAY: "frames in memory",
}
_CLOCKS = {
    TimingSource.FRAME_TIME_VECTOR: "the times of the frames in the DICOM file",
    TimingSource.FRAME_TIME: "the frame time in the DICOM file",
    TimingSource.CINE_RATE: "the cine rate in the DICOM file",
    TimingSource.CONTAINER: "the video's time stamps",
    TimingSource.USER: "the user",
    TimingSource.NONE: "",
}


def recording_facts(header: Header) -> list[tuple[str, str]]:
    """Return (name, words) about a recording, the file first."""
    region, repeats = header.region, header.timing.duplicates
    shape = "" if region.fan is None else ", a fan"
    facts = [
        ("Recording", f"{header.name}, {_KINDS[header.kind]}"),
        ("Frames", f"{header.frames}, each {header.width} × {header.height} px"),
        (
            "B-mode picture",
            f"{region.width} × {region.height} px at ({region.x}, {region.y})"
            f"{shape}{_extent(header)}",
        ),
        ("Size of a pixel", _scale(header.calibration)),
        ("Timing", _clock(header.timing, header.frames)),
    ]
    if repeats:
        facts.append(
            ("Repeated frames", f"{repeats} only repeat an earlier one and are not measured again")
        )
    return facts


def _extent(header: Header) -> str:
    """Say what the picture shows of the patient: a depth that is wrong is noticed at once."""
    spacing = header.calibration.spacing_mm
    if spacing is None:
        return ""
    width, depth = header.region.width * spacing[0], header.region.height * spacing[1]
    return f": {width:.0f} mm wide, {depth:.0f} mm deep"


def _scale(calibration: Calibration) -> str:
    spacing = calibration.spacing_mm
    if spacing is None:
        return "not known: lengths are in pixels, none in millimetres"
    sure = calibration.confidence
    confidence = "" if sure >= 1 else f" ({100 * sure:.0f} % sure)"
    return f"{spacing[0]:.4g} × {spacing[1]:.4g} mm{confidence}: {calibration.detail.rstrip('.')}"


def _clock(timing: Timing, frames: int) -> str:
    if timing.fps is None or timing.duration_s is None:
        return "none" if frames == 1 else "not known: speeds and times in seconds are left out"
    return f"{timing.fps:.1f} frames/s for {timing.duration_s:.1f} s, from {_CLOCKS[timing.source]}"
