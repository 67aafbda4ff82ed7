"""Measurements from recorded ultrasound clips of guided needlings and of contracting muscle.

Research software, not a medical device.
"""

__version__ = "0.1.0"
