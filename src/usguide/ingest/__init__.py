"""From a file to a :class:`~usguide.ingest.clip.Clip`: decoding, calibration, timing, region."""
