"""The families of failure, and no other.

*The peer is wrong*: `WireError`, raised by codecs and tables, caught once, where
bytes enter, and counted. *The caller is wrong*: `ValueError`, raised, never
caught. *We are wrong*: `assert` with a reason, contained at the participant.
A lost packet is no failure at all: it is a `Drop`, returned.
"""


class WireError(Exception):
    """The peer sent something that the specification does not allow."""
