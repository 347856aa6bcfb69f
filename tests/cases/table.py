"""The case table of docs/drift-cases.md, made from what the engines say: `python -m tests.cases.table`.

It plays every case on a throwaway control plane, some ten a second, and writes nothing where an engine says otherwise
than its case expects. `render` is pure, so a test can tell a stale table without playing anything again.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from services.local.controlplane import LocalControlPlane
from services.local.folders import cache_root, run_folder
from services.local.prepare import prepare_everything
from services.local.progress import Step
from tests.cases.case import Case, Verdict
from tests.cases.catalogue import all_cases
from tests.cases.play import Heard, Stage, play
from tests.watching import client_of
from tests.webhooks import serving

PAGE = Path(__file__).parents[2] / "docs" / "drift-cases.md"
TITLES = {
    "1": "Quantities", "2": "Durations", "3": "Defaults of built-in kinds", "4": "Defaults of custom kinds",
    "5": "`divisor`", "6": "`protocol`, a default that is part of a key", "7": "Empty against absent",
    "8": "Null", "9": "What the server does not store", "10": "`creationTimestamp: null`", "11": "Autoscalers",
    "12": "An autoscaler's metrics", "13": "CA bundles", "14": "`failurePolicy` of webhooks",
    "15": "`rules` of webhooks", "16": "Defaults of webhooks", "17": "Mutating webhooks",
    "18": "What a Service is given", "19": "Secrets' `stringData`", "20": "`data` and `stringData` together",
    "21": "Order of lists", "22": "Twice the same key", "23": "One port number in TCP and UDP",
    "24": "Numbers and texts", "25": "ServiceAccounts", "26": "Aggregated ClusterRoles", "27": "No rules",
    "28": "Jobs", "29": "Claims of StatefulSets", "30": "PersistentVolumeClaims", "31": "Declared status",
    "32": "The server's own metadata", "33": "kubectl's note", "34": "Labels by the platform",
    "35": "Restarted rollouts", "36": "Other versions of a kind", "37": "New versions of a custom kind",
    "38": "Fields of no schema", "39": "Scopes", "40": "Random values", "41": "Unknown fields",
    "42": "What the server would refuse", "43": "No dry-run", "44": "Added by hand", "45": "Left by an earlier owner",
    "46": "Masked values", "47": "Replaced metadata", "48": "Endless loops", "49": "Namespaces that end",
    "50": "Declared twice", "6.1": "What a real API server taught",
}  # fmt: skip
HEAD = """# What counts as drift

Made by `make cases` from what Setpoint says on a real API server; the tests hold it to that. One line a situation:

- **dry-run**: with the right to ask the server for a dry-run apply; **local**: with read rights only, `=` where it says
  the same fields. In brackets why the server has not the last word, or none.
- **correction**: what becomes of the drift under a policy that corrects: `yes`, or the reason why the server refuses.
- **Argo CD** and **Flux** are as their documentation and issues describe them, with shipped defaults.
- Fields are JSON pointers; `~` changed, `-` removed, `+` added; after them who wrote the live value, `?` where nothing
  proves it. *unjudged* findings are reported and never acted on.
"""
COLUMNS = ("| situation | dry-run | local | correction | Argo CD | Flux |", "|---|---|---|---|---|---|")
KINDS = {"changed": "~", "removed": "-", "added": "+"}


def render(cases: Sequence[Case], said: Mapping[str, Heard]) -> str:
    """The whole page from what was heard of each case, by id."""
    by_number: dict[str, list[Case]] = {}
    for case in cases:
        by_number.setdefault(case.number, []).append(case)
    return HEAD + _summary(cases, said) + "".join(_section(number, some, said) for number, some in by_number.items())


def _summary(cases: Sequence[Case], said: Mapping[str, Heard]) -> str:
    """How many situations there are, and all those in which the engines see different fields."""
    apart = [case for case in cases if said[case.id].dry_run.fields != said[case.id].local.fields]
    lines = [
        f"- {case.number.lstrip('0')}, {case.title}: {_words(said[case.id].dry_run)} by dry-run, "
        f"{_words(said[case.id].local)} locally, since {case.because}."
        for case in apart
    ]
    head = f"\n{len(cases)} situations. The two engines see the same fields in all of them but {len(apart)}"
    return "\n".join([head + (":\n" if apart else "."), *lines, ""])


def expectations(cases: Iterable[Case]) -> dict[str, Heard]:
    """What the page says where every engine says what it should."""
    return {case.id: Heard(case.expect, case.expect_local, case.expect_fix) for case in cases}


def _section(number: str, cases: list[Case], said: Mapping[str, Heard]) -> str:
    short = number.lstrip("0") or number
    title = TITLES.get(short)
    lines = [
        f"\n## {short}{'. ' + title if title else ''}\n",
        "| situation | dry-run | local | correction | Argo CD | Flux |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for case in cases:
        server, local = _words(said[case.id].dry_run), _words(said[case.id].local)
        same = local == _words(said[case.id].dry_run.without_server())
        fix = {"": "–", "corrected": "yes"}.get(said[case.id].fix, said[case.id].fix)
        row = (case.title, server, "=" if same else local, fix, case.argocd, case.flux)
        lines.append("| " + " | ".join(part.replace("|", "\\|") for part in row) + " |")
    return "\n".join([*lines, ""])


def _words(verdict: Verdict) -> str:
    if verdict.state is None:
        return "no drift"
    fields = ", ".join(f"{KINDS[kind]} `{path}`" + _by(verdict, path, kind) for path, kind in sorted(verdict.fields))
    head = {"missing": "missing", "unjudged": "*unjudged*"}.get(verdict.state, "drift")
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return f"{head}{reason}" + (f": {fields}" if fields else "")


def _by(verdict: Verdict, path: str, kind: str) -> str:
    return "" if kind == "removed" else f" {verdict.writer(path) or '?'}"


def complaints(case: Case, heard: Heard) -> list[str]:
    """Where an engine says otherwise than the case expects."""
    pairs = (("dry-run", heard.dry_run, case.expect), ("local", heard.local, case.expect_local))
    found = [
        f"{case.id}, {engine}: {_words(said)}, not {_words(wanted)}"
        for engine, said, wanted in pairs
        if _words(said) != _words(wanted)
    ]
    wrong = [] if heard.fix == case.expect_fix else [f"{case.id}, correction: {heard.fix}, not {case.expect_fix}"]
    return [*found, *wrong]


async def play_all(cases: Sequence[Case]) -> dict[str, Heard]:
    """Every case's verdicts, on a control plane of this run's own."""
    parts = await prepare_everything(_tell)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(run_folder(cache_root()))
        plane = LocalControlPlane(folder.path, parts.control_plane.binaries, parts.control_plane.stages)
        stack.push_async_callback(plane.stop)
        await plane.start()
        client = await stack.enter_async_context(client_of(plane))
        webhooks = await stack.enter_async_context(serving(plane))
        stage = Stage(plane, client, webhooks, folder.path / "cases")
        return {case.id: await play(case, stage) for case in cases}


def _tell(step: Step) -> None:
    print(step, file=sys.stderr)


def main() -> int:
    """Write the page; 1 and nothing written where an engine is not as its case expects."""
    cases = all_cases()
    heard = asyncio.run(play_all(cases))
    wrong = [complaint for case in cases for complaint in complaints(case, heard[case.id])]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    PAGE.write_text(render(cases, heard), encoding="utf-8")
    print(f"{len(cases)} cases in {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
