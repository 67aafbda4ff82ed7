"""Analyses made by hand, with everything measured and with nothing, for the tests of output."""

from pathlib import Path

import numpy as np

from usguide.ingest.clip import Clip
from usguide.model import (
    Analysis,
    Border,
    Borders,
    Calibration,
    CalibrationSource,
    Collection,
    ContractionResult,
    Cycle,
    Discontinuity,
    FasciaCategory,
    FasciaProfile,
    FasciaResult,
    Header,
    Measurement,
    MotionResult,
    MuscleResult,
    NeedlePass,
    NeedlePlane,
    NeedleTrack,
    NotMeasured,
    Options,
    PerifascialFluid,
    Region,
    Separation,
    SeparationFlag,
    Side,
    SourceKind,
    Spur,
    Station,
    Status,
    Strain,
    Thickness,
    Timing,
    TimingSource,
    Twitch,
)

FRAMES = 24
WIDTH, HEIGHT = 161, 121  # odd on purpose: H.264 wants even sizes
REGION = Region(10, 20, 140, 90)
SPACING = (0.25, 0.2)
# Frames 5 and 6 repeat 4, frame 11 repeats 10: as a screen recorder does.
DUPLICATES = {5: 4, 6: 4, 11: 10}


def clip(
    *,
    calibrated: bool = True,
    timed: bool = True,
    frames: int = FRAMES,
    scale: int = 1,
    path: str = "heel.dcm",
) -> Clip:
    """Speckle with some bright lines, in a region inside the frame, unevenly timed."""
    noise = np.random.default_rng(1)
    height, width = HEIGHT * scale, WIDTH * scale
    region = Region(*(scale * v for v in (REGION.x, REGION.y, REGION.width, REGION.height)))
    base = noise.rayleigh(28, (height, width)).clip(0, 255).astype(np.uint8)
    duplicate_of = np.full(frames, -1, dtype=np.int64)
    for repeat, of in DUPLICATES.items():
        if repeat < frames:
            duplicate_of[repeat] = of
    time_s = np.cumsum(np.r_[0.0, 0.04 + 0.02 * (np.arange(frames - 1) % 3 == 0)])

    def decode():
        for index in range(frames):
            of = duplicate_of[index]
            yield np.roll(base, 3 * scale * int(of if of >= 0 else index), axis=1)

    header = Header(
        path=Path("/data/clinic") / path,
        sha256="0123456789abcdef" * 4,
        kind=SourceKind.DICOM,
        frames=frames,
        width=width,
        height=height,
        region=region,
        tissue=np.ones((region.height, region.width), dtype=np.bool_),
        calibration=Calibration(
            SPACING[0] / scale,
            SPACING[1] / scale,
            CalibrationSource.DICOM,
            1.0,
            "from the DICOM ultrasound region",
        )
        if calibrated
        else Calibration(),
        timing=Timing(
            time_s if timed else None,
            TimingSource.FRAME_TIME_VECTOR if timed else TimingSource.NONE,
            duplicate_of,
        ),
        source_names=(),
        frame_numbers=np.arange(frames, dtype=np.int64),
        study="0123456789ab",
        name=path,
        warnings=("the last frame is cut short and was left out",),
    )
    return Clip(header, decode)


def mm(value: float, spread: float = 0.2) -> Measurement:
    return Measurement(value, value - spread, value + spread, "mm")


def measured(source: Clip, scale: int = 1) -> Analysis:
    """Everything measured; unknown in the frames that repeat another, as the stages leave it."""
    header = source.header
    count = header.frames
    own = header.timing.duplicate_of < 0
    phase = np.arange(count) / max(count - 1, 1)
    time_s = header.timing.time_s

    def at(frame: int) -> float:
        return float(time_s[frame]) if time_s is not None else 0.0

    def per_frame(values: np.ndarray) -> np.ndarray:
        values = np.array(values, dtype=np.float64)
        values[~own] = np.nan
        return values

    x = np.linspace(REGION.x, REGION.x + REGION.width - 1, 40) * scale
    bow = 3 * np.sin(np.linspace(0, np.pi, 40)) * scale
    top = (50 * scale + bow)[None] + scale * 2 * np.sin(6 * phase)[:, None]
    bottom = top + 17 * scale
    top[~own] = bottom[~own] = np.nan
    fascia_borders = Borders(x, top.astype(np.float32), bottom.astype(np.float32))
    muscle_borders = Borders(
        x, (bottom + 8 * scale).astype(np.float32), (bottom + 25 * scale).astype(np.float32)
    )
    profile_mm = np.linspace(0, 30, 61)
    thick = 3.2 + 1.5 * np.exp(-(((profile_mm - 9) / 5) ** 2)) - 0.02 * profile_mm
    tip = np.column_stack([30 + 60 * phase, 30 + 35 * np.sin(3 * np.pi * phase) ** 2]) * scale
    seen = own & (phase < 0.8)
    tip[~seen] = np.nan
    tail = np.where(np.isfinite(tip), np.array([12.0, 22.0]) * scale, np.nan)
    depth = per_frame(3 + 9 * np.sin(3 * np.pi * phase) ** 2)
    depth[~seen] = np.nan
    activation = per_frame(np.sin(np.pi * phase) ** 2)
    gap = 0.6 + 5 * activation
    last = count - 1
    stations = tuple(Station(float(d), mm(float(np.interp(d, profile_mm, thick)))) for d in (5, 10))
    return Analysis(
        header=header,
        options=Options(),
        fascia=FasciaResult(
            Status.MEASURED,
            "",
            insertion_px=(30.0 * scale, 66.0 * scale),
            side=Side.LEFT,
            thickness_mm=Thickness(mm(3.4), mm(4.6), 9.0, stations),
            thickness_px=Thickness(
                Measurement(17.0, 16.0, 18.0, "px"), Measurement(23.0, 22.0, 24.0, "px"), 45.0
            ),
            category=FasciaCategory.THICKENED,
            echogenicity=Measurement(0.6, 0.5, 0.7, "1"),
            fibrillar_score=Measurement(0.55, 0.5, 0.6, "1"),
            fat_pad_mm=mm(19.0),
            discontinuity=(Discontinuity(12.0, 2.0, 0.4),),
            biconvexity_mm=mm(0.5),
            fluid=(
                PerifascialFluid(
                    Border.DEEP,
                    8.0,
                    6.0,
                    mm(1.2),
                    0.9,
                    ((60.0, 68.0), (80.0, 68.0), (70.0, 74.0), (60.0, 68.0)),
                ),
            ),
            spur=Spur(mm(3.6), (48.0 * scale, 66.0 * scale), 0.8),
            not_measured=(NotMeasured("fat_pad_mm", "the skin's echo is not seen"),),
            superficial_px=np.column_stack([x, top[0]]),
            deep_px=np.column_stack([x, bottom[0]]),
            bone_px=np.column_stack([x[:12], bottom[0][:12] + scale * np.linspace(9, 0, 12)]),
            reference_frame=0,
            frames_used=int(own.sum()),
            profile=FasciaProfile(
                profile_mm, thick, thick - 0.3, thick + 0.3, np.full((61, 2), 40.0), "mm"
            ),
            borders=fascia_borders,
            frame_thickness_px=per_frame(np.full(count, 17.0)),
            frame_thickness_mm=per_frame(np.full(count, 3.4)),
            frame_quality=per_frame(np.full(count, 0.8)),
        ),
        muscle=MuscleResult(
            Status.MEASURED,
            "",
            thickness_mm=mm(3.4),
            thickness_px=Measurement(17.0, 16.0, 18.0, "px"),
            echo_intensity=Measurement(41.0, 39.0, 43.0, "1"),
            superficial_px=np.column_stack([x, bottom[0] + 8 * scale]),
            deep_px=np.column_stack([x, bottom[0] + 25 * scale]),
            reference_frame=0,
            borders=muscle_borders,
            frame_thickness_px=per_frame(np.full(count, 17.0)),
            frame_thickness_mm=per_frame(3.4 + 0.8 * phase),
            superficial_left_y_px=per_frame(np.full(count, 75.0)),
            deep_left_y_px=per_frame(np.full(count, 92.0)),
        ),
        needle=NeedleTrack(
            Status.MEASURED,
            "",
            plane=NeedlePlane.IN,
            tip_px=tip,
            tail_px=tail,
            tip_visible=seen,
            tip_confidence=per_frame(1 - 0.8 * phase),
            tip_ellipse_px=np.where(seen[:, None], [4.0, 2.0], np.nan),
            shaft_angle_deg=per_frame(np.full(count, 31.0)),
            insertion_depth_px=depth * 5,
            insertion_depth_mm=depth,
            tip_to_fascia_mm=8 - depth,
            passes=(
                NeedlePass(
                    0, last // 6, last // 3, 0.0, at(last // 6), at(last // 3), 9.0, 45.0, 0.1
                ),
            ),
            passes_certain=True,
            closest_to_fascia_mm=-1.2,
        ),
        motion=MotionResult(
            ContractionResult(
                Status.MEASURED,
                "",
                cycles=(Cycle(0, last // 2, last, 0.0, at(last // 2), at(last), 5.5, 22.0),),
                separation=Separation(
                    SeparationFlag.SEPARATION,
                    "two ends move apart as the contraction grows",
                    gap_rest_mm=mm(0.6),
                    gap_peak_mm=mm(5.6),
                    widening_mm=mm(5.0),
                    torn_fraction=Measurement(0.4, 0.3, 0.5, "1"),
                    grade="2",
                    location_px=(90.0 * scale, 84.0 * scale),
                ),
                collections=(
                    Collection(
                        14.0,
                        6.0,
                        (100.0 * scale, 85.0 * scale),
                        0.7,
                        tuple(
                            (float(a) * scale, float(b) * scale)
                            for a, b in ((92, 80), (108, 81), (106, 92), (93, 90))
                        ),
                    ),
                ),
                activation=activation,
                displacement_px=activation * 22,
                displacement_mm=activation * 5.5,
                gap_mm=gap,
                gap_low_mm=gap - 0.4,
                gap_high_mm=gap + 0.4,
                strain=Strain(
                    Status.MEASURED,
                    "between its aponeuroses.",
                    Measurement(-0.08, -0.1, -0.06, "1"),
                    Measurement(-0.3, -0.4, -0.2, "1/s"),
                    activation * -0.08,
                    np.gradient(activation * -0.08),
                ),
            ),
            (
                Twitch(
                    at(last // 2),
                    at(last * 2 // 3),
                    1.4,
                    22.0,
                    (60.0 * scale, 90.0 * scale),
                    0.8,
                    needle_pass=1,
                ),
            ),
        ),
        version="0.1.0",
        seconds={"reading": 0.2, "fascia": 0.1, "muscle": 0.1, "needle": 0.4, "motion": 1.0},
        warnings=header.warnings,
    )


def nothing_measured(source: Clip) -> Analysis:
    """One stage nobody asked for, the others with a reason."""
    return Analysis(
        header=source.header,
        options=Options(),
        fascia=FasciaResult(Status.NONE_FOUND, "no bright convex bone line is in view"),
        muscle=MuscleResult(Status.NOT_MEASURED, "the deep border leaves the picture"),
        needle=NeedleTrack(Status.NONE_FOUND, "no line moves along its own axis"),
        motion=MotionResult(ContractionResult(Status.NOT_REQUESTED, "it was not asked for")),
        version="0.1.0",
        seconds={"reading": 0.2},
        warnings=source.header.warnings,
    )
