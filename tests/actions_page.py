"""The actions of docs/actions.md, made from the registry: `python -m tests.actions_page`.

What stands before the mark is written by hand and stays.
"""

from pathlib import Path

from services.reconciler.policies.manual import Entry, Parameter, entries, right_in_words

PAGE = Path(__file__).parents[1] / "docs" / "actions.md"
MARK = "<!-- From here on made by: python -m tests.actions_page -->\n"


def page(before: str) -> str:
    """The page with its made part anew."""
    intro = before.partition(MARK)[0]
    found = entries()
    return intro + MARK + "\n" + _overview(found) + "".join(_section(entry) for entry in found)


def _overview(found: tuple[Entry, ...]) -> str:
    rows = [
        f"| [`{one.name}`](#{one.name.lower()}) | {one.answers} | {'yes' if one.reversible else 'no'} | {one.meaning} |"
        for one in found
    ]
    return "\n".join(["| action | answers | undo | what it does |", "|---|---|---|---|", *rows]) + "\n"


def _section(entry: Entry) -> str:
    rights = "; ".join(f"`{right_in_words(rule)}`" for rule in entry.rights) or "none in the cluster"
    first, *rest = entry.example.splitlines()
    example = "\n".join([f"- {first}", *(f"  {line}" for line in rest)])
    rows = [_row(one) for one in entry.parameters]
    table = "\n".join(["| parameter | type | default | meaning |", "|---|---|---|---|", *rows])
    return (
        f"\n## {entry.name}\n\n{entry.meaning}\n\n{table}\n\n"
        f"Rights of the example: {rights}.\n\n```yaml\n{example}\n```\n"
    )


def _row(one: Parameter) -> str:
    default = "required" if one.default is None else f"`{one.default}`" if one.default else ""
    return f"| `{one.name}` | {one.type} | {default} | {one.meaning} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
