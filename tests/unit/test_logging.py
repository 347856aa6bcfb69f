"""Logs stay readable and small, whatever a library does."""

import logging

from services.runtime.logging import Sparse


def line(number: int, created: float) -> logging.LogRecord:
    """A record that was logged in some line of a library, at some second."""
    record = logging.LogRecord("aiokafka", logging.ERROR, "client.py", number, "no connection to %s", ("b",), None)
    record.created = created
    return record


def test_a_library_says_the_same_once_in_a_while() -> None:
    """Each place in its code counts for itself."""
    sparse = Sparse(every=10)
    assert [sparse.filter(line(435, second)) for second in (0, 0.01, 9.9, 10, 10.01)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert sparse.filter(line(325, 10.02))
