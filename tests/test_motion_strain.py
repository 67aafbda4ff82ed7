"""Strain along the muscle: pictures stretched by a known amount, and movements without any."""

import dataclasses
from functools import cache

import cv2
import numpy as np
import pytest

from motion_scenes import COMPLETE, NO_MUSCLE, concluded, recorded
from usguide.model import Borders, Status

FPS = 18.0


def course(peak, frames=36):
    """Strain that grows to its peak and goes back, with rest before and after."""
    rise = np.clip((np.arange(frames) - 6) / 10, 0, 1)
    fall = np.clip((np.arange(frames) - 20) / 10, 0, 1)
    return peak * (rise - fall)


def stretched(picture, strain, about=0.5):
    """Stretch a picture along x about its middle, or so far along its width."""
    still = about * (picture.shape[1] - 1)
    matrix = np.array([[1 + strain, 0, -strain * still], [0, 1, 0]])
    return cv2.warpAffine(picture, matrix, picture.shape[::-1], borderMode=cv2.BORDER_REFLECT)


def strain_of(frames, muscle, spacing=(0.1, 0.1), fps=FPS):
    return concluded(frames, muscle=muscle, spacing=spacing, fps=fps).contraction.strain


@pytest.mark.parametrize("peak", [-0.12, -0.08, 0.1])
def test_a_known_strain_is_measured_with_its_rate(peak):
    scene = recorded(2)
    true = course(peak)
    found = strain_of([stretched(scene.frames[0], each) for each in true], scene.muscle)
    assert found.status is Status.MEASURED
    assert found.peak.value == pytest.approx(peak, abs=0.01)
    assert found.peak.low <= found.peak.value <= found.peak.high
    assert np.nanmax(np.abs(found.course - true)) < 0.02
    # The ramp gains the peak in 10 frames; smoothing takes a little off its corners only.
    assert found.peak_rate_per_s.value == pytest.approx(peak / 10 * FPS, rel=0.25)


def test_muscle_that_only_slides_has_no_strain():
    scene = recorded(2)
    found = scene.as_it_is.contraction.strain
    assert found.status is Status.MEASURED
    assert found.peak.value == pytest.approx(0.0, abs=0.02)


def test_a_gap_between_two_ends_is_not_taken_for_strain_of_the_muscle():
    scene = recorded(5, **(COMPLETE | {"open_at_rest": "false", "hematoma_mm": 0}))
    found = scene.as_it_is.contraction
    width_mm = scene.frames.shape[2] * scene.scene.spacing_mm[0]
    opened = found.separation.widening_mm.value / width_mm
    assert abs(found.strain.peak.value) < 0.5 * opened


@cache
def shortened():
    """A muscle, its frames while it shortens to one side by a tenth, and the strain found."""
    scene = recorded(2)
    frames = np.stack([stretched(scene.frames[0], each, about=0.2) for each in course(-0.1)])
    return scene.muscle, frames, strain_of(frames, scene.muscle)


def test_mirroring_and_scaling_leave_strain_as_it_is():
    muscle, frames, one = shortened()
    assert one.peak.value == pytest.approx(-0.1, abs=0.01)
    given = muscle.borders
    turned = Borders(
        frames.shape[2] - 1 - given.x_px[::-1],
        given.superficial_y_px[:, ::-1],
        given.deep_y_px[:, ::-1],
    )
    mirrored = strain_of(
        np.ascontiguousarray(frames[:, :, ::-1]), dataclasses.replace(muscle, borders=turned)
    )
    assert mirrored.peak.value == pytest.approx(one.peak.value, abs=0.003)
    other = strain_of(frames, muscle, spacing=(0.2, 0.2))
    assert other.peak.value == pytest.approx(one.peak.value)


def test_strain_is_refused_where_the_axis_is_not_known_or_nothing_moves():
    scene = recorded(2)
    unknown = scene.analysed(muscle=NO_MUSCLE).contraction.strain
    assert unknown.status is Status.NOT_MEASURED
    assert "aponeuroses" in unknown.reason
    assert unknown.peak is unknown.course is None
    still = scene.analysed(frames=np.repeat(scene.frames[:1], 12, axis=0)).contraction.strain
    assert still.status is Status.NONE_FOUND
    assert still.peak is None


def test_without_timing_or_scale_there_is_strain_and_no_rate():
    muscle, frames, one = shortened()
    found = strain_of(frames, muscle, spacing=None, fps=None)
    assert found.peak.value == pytest.approx(one.peak.value)
    assert one.peak_rate_per_s is not None
    assert found.peak_rate_per_s is None
