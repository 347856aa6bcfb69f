"""All cases: the tuples `CASES` of the modules `tests/cases/cases_*.py`, by number."""

import pkgutil
from importlib import import_module

import tests.cases
from tests.cases.case import Case


def all_cases() -> list[Case]:
    """In the order of their numbers, then as they stand in their modules. Raises ValueError where an id is twice."""
    names = sorted(found.name for found in pkgutil.iter_modules(tests.cases.__path__))
    modules = [import_module(f"tests.cases.{name}") for name in names if name.startswith("cases_")]
    cases: list[Case] = [case for module in modules for case in module.CASES]
    ids = [case.id for case in cases]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise ValueError(f"two cases of one name: {', '.join(twice)}")
    return sorted(cases, key=lambda case: _order(case.number))


def _order(number: str) -> tuple[int, ...]:
    """`6.1` comes after `50`: a number with a dot is a point beside the catalogue."""
    parts = tuple(int(part) for part in number.split("."))
    return parts if len(parts) == 1 else (1000, *parts)
