"""One ordinal severity from each system's own word: the one table that all who make alerts share.

A word that is not here, or none at all, is `info`: what nobody calls severe must not look as if it were.
"""

from schemas.alerts import Severity

WORDS = {
    Severity.CRITICAL: "critical crit emergency alert page fatal disaster",
    Severity.ERROR: "error err high major",
    Severity.WARNING: "warning warn medium moderate",
    Severity.INFO: "info informational information notice debug trace low minor none ok",
}
"""Falco's eight priorities, what people write into Alertmanager's `severity` label, scanners' and Flux's words."""
KNOWN = {word: severity for severity, words in WORDS.items() for word in words.split()}


def severity_of(word: object) -> Severity:
    """In any case, with blanks around it."""
    return KNOWN.get(word.strip().lower(), Severity.INFO) if isinstance(word, str) else Severity.INFO
