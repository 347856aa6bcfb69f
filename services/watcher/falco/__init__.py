"""Falco as people run it, with nothing changed: its pods' logs are followed, and its alerts told."""
