"""Hypothesis's deadline of 200 ms for an example would measure the computer, not the code."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
