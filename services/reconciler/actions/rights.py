"""Which rights an operation's parameters come to, where a role must be written before any cluster is asked."""

import re

from schemas.reference import Reference
from services.reconciler.actions.base import Rule

SAME = frozenset({"Endpoints"})
ES = re.compile(r"(s|x|ch|sh)$")
IES = re.compile(r"[^aeiou]y$")


def plural(kind: str) -> str:
    """A kind's name in paths, by the rule that nearly every kind follows: NetworkPolicy → networkpolicies."""
    name = kind.lower()
    if kind in SAME:
        return name
    if IES.search(name):
        return f"{name[:-1]}ies"
    return f"{name}es" if ES.search(name) else f"{name}s"


def rule_on(reference: Reference, *verbs: str) -> Rule:
    """The rule for one object; for a template, which may come to anything, that for every kind."""
    if not isinstance(reference, Reference):
        return Rule("*", "*", verbs)
    return Rule(reference.group, plural(reference.kind), verbs)


def rules_on(reference: Reference, kinds: tuple[tuple[str, str], ...], *verbs: str) -> tuple[Rule, ...]:
    """The rules for one object; for a template those for every kind (group, kind) that the operation takes."""
    if isinstance(reference, Reference):
        return (rule_on(reference, *verbs),)
    return tuple(Rule(group, plural(kind), verbs) for group, kind in kinds)
