"""Settled escalations as data sets: kept, read again, and written in the formats of trainers."""
