"""Make the sample clips again: ``python -m sample_data.make [FOLDER]``.

Frames and truth come out bit for bit; the streams may differ with the encoder's version.
"""

from __future__ import annotations

import sys
from pathlib import Path

from usguide.synth import Recording, make_scene, write

HERE = Path(__file__).parent


def heel_needling() -> Recording:
    """Return a thickened fascia, a needle in the image plane, three passes."""
    return make_scene(
        "needling",
        seed=11,
        frames=75,
        fps=25,
        width_px=520,
        height_px=420,
        depth_mm=30,
        mirrored=False,
        thickness_mm=4.6,
        disease=0.45,
        fat_pad_mm=8.5,
        tilt_deg=2,
        insertion_x=0.4,
        looks=3,
        enters=False,
        passes=3,
        pass_hz=1.2,
        angle_deg=28,
        target_at_mm=6,
        visibility=0.9,
        shaft_loss_db=1,
        fade=0.1,
        dropouts=0,
        diameter_mm=0.3,
        drift_mm=0.3,
        contact_shadow_db=0,
        bone_dropout=0.05,
        bulge_mm=0,
        fluid_mm=0,
        spur_mm=0,
    )


def muscle_tear_screen() -> Recording:
    """Return a tear nearly closed at rest, on a screen recorded at three times the scan rate."""
    return make_scene(
        "muscle",
        seed=7,
        frames=90,
        fps=20,
        width_px=520,
        height_px=420,
        depth_mm=36,
        mirrored=False,
        looks=3,
        tear="complete",
        open_at_rest=False,
        closed_gap_mm=0.4,
        widening_mm=5,
        contractions=2,
        unequal=0.1,
        excursion_mm=4,
        muscle_mm=15,
        fat_mm=5,
        tear_lean_deg=8,
        drift_mm=0.3,
        contact_shadow_db=0,
        atrophy=0,
        hematoma_mm=0,
        screen=True,
        ruler="ticks",
        ruler_side="right",
        ruler_gap_px=6,
        pitch_mm=5,
        numbered=True,
        theme="black",
        text=True,
        clock=False,
        grey_bar=True,
        caliper=False,
        cursor=False,
        container_fps=60,
    )


CLIPS = {"heel_needling.dcm": heel_needling, "muscle_tear_screen.mp4": muscle_tear_screen}


def main(folder: Path = HERE) -> None:
    for name, make in CLIPS.items():
        clip, truth = write(make(), folder / name, overwrite=True, crf=23)
        print(
            f"{clip}: {clip.stat().st_size / 1e6:.1f} MB, truth {truth.stat().st_size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
