"""Fixtures for every test; those that start something do so only for a test that asks for them."""

from tests.parts import broker, control_plane, parts, session_folder

__all__ = ["broker", "control_plane", "parts", "session_folder"]
