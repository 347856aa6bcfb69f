"""Which ignore rules do nothing: a rule that matches no object, or no field of any, is usually a spelling mistake.

Fed with every object that is compared; asked at the end. A rule that hides nothing today but could is no mistake, so
what counts is whether its field is there, in the manifest or in the live object, not whether it differs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas.baseline import Baseline, IgnoreRule
from services.kube.declaration.baselines import Declared, selects
from services.kube.objects import Object
from services.kube.pointer import Segments, parse_pointer


@dataclass
class _Use:
    baseline: str
    rule: IgnoreRule
    path: Segments
    objects: int = 0
    fields: int = 0


class RuleUse:
    """How often each rule of some baselines was of use."""

    def __init__(self, baselines: Iterable[Baseline]) -> None:
        self.rules: dict[str, list[_Use]] = {}
        for baseline in baselines:
            name = baseline.metadata.name
            self.rules[name] = [_Use(name, rule, parse_pointer(rule.path)) for rule in baseline.spec.ignore]

    def see(self, declared: Declared, live: Object | None) -> None:
        """Take one compared object into account."""
        selecting = [use for use in self.rules.get(declared.baseline, ()) if selects(use.rule, declared.key)]
        unseen = [use for use in selecting if not use.fields]
        for use in selecting:
            use.objects += 1
        if unseen:
            obj = declared.obj
            for use in unseen:
                use.fields += leads_somewhere(obj, use.path) or leads_somewhere(live, use.path)

    def idle(self) -> list[str]:
        """A line about each rule that matched nothing."""
        return [_told(use) for uses in self.rules.values() for use in uses if not use.fields]


def leads_somewhere(value: Any, path: Segments) -> bool:
    """True where a path, `*` for any one segment, leads to something."""
    if not path:
        return True
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        below = value.values() if head == "*" else [value[head]] if head in value else []
    elif isinstance(value, list):
        at = int(head) if head.isascii() and head.isdigit() else len(value)
        below = value if head == "*" else value[at : at + 1]
    else:
        return False
    return any(leads_somewhere(child, rest) for child in below)


def _told(use: _Use) -> str:
    names = ((name, getattr(use.rule, name)) for name in ("kind", "namespace", "name"))
    which = " ".join(f"{name} {value}" for name, value in names if value)
    count = f"{use.objects} object{'s' * (use.objects != 1)}"
    what = f"no field that is there now, in {count}" if use.objects else "no object"
    return f"baseline '{use.baseline}': the ignore rule {use.rule.path}{f' ({which})' if which else ''} matches {what}"
