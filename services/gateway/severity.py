"""One ordinal severity from each system's own word, as everybody who makes alerts reads it."""

from services.runtime.alerts.severity import KNOWN, severity_of

__all__ = ["KNOWN", "severity_of"]
