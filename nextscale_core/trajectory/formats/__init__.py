"""Readers and writers of robot motion in the formats of trackers, trainers and data sets."""
