"""Accuracy and speed of usguide, on synthetic truth and on real recordings, against peers."""
