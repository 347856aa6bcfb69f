"""Ports are free, distinct, and out of the way of the system's own source ports."""

import random
import socket

import pytest

from services.local import ports


def test_reserved_ports_are_distinct_and_held() -> None:
    """Nobody else can bind a port while it is held; afterwards anybody can."""
    with ports.reserved(5) as held:
        assert len(set(held)) == 5
        with socket.socket() as other, pytest.raises(OSError):
            other.bind(("127.0.0.1", held[0]))
    with socket.socket() as other:
        other.bind(("127.0.0.1", held[0]))


def test_a_taken_port_is_passed_over() -> None:
    """The same dice that fell on a taken port give the next free one."""
    with ports.reserved(1, random.Random(7)) as (first,), ports.reserved(1, random.Random(7)) as (second,):
        assert first != second


def test_ports_are_below_the_source_ports() -> None:
    """A client that dials a stopped part must not be given the part's port as its own source."""
    first_source = ports._first_source_port()
    assert all(ports.LOWEST <= port < first_source for port in ports.free(20))


def test_a_machine_with_low_source_ports_still_gets_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where source ports begin lower than our range, any free port will do."""
    monkeypatch.setattr(ports, "_first_source_port", lambda: 1024)
    assert len(set(ports.free(3))) == 3
