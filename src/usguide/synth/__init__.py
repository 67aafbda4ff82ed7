"""Synthetic ultrasound clips with exact truth: fascia, needle, twitch, contraction and tear."""

from __future__ import annotations

from usguide.synth.recording import write
from usguide.synth.scene import Recording, Scene
from usguide.synth.scenes import SCENES, make_scene

__all__ = ["SCENES", "Recording", "Scene", "make_scene", "write"]
