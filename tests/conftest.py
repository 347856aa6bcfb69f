"""Fixtures for every test; those that start something do so only for a test that asks for them."""

from hypothesis import HealthCheck, settings

from tests.parts import broker, control_plane, parts, session_folder

__all__ = ["broker", "control_plane", "parts", "session_folder"]

# How long an example takes says something about the machine, not about the property.
settings.register_profile("setpoint", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("setpoint")
