"""Fixtures for every test; those that start something do so only for a test that asks for them."""

from hypothesis import HealthCheck, settings

from tests.parts import broker, control_plane, parts, session_folder

__all__ = ["broker", "control_plane", "parts", "session_folder"]

# How long an example takes says something about the machine, and how many of them are thrown away about chance: neither
# about the property.
CHANCE = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
settings.register_profile("setpoint", deadline=None, suppress_health_check=CHANCE)
settings.load_profile("setpoint")
