"""`setpoint diff`: what is declared against a cluster, now. Needs no broker and changes nothing."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter

import click
from rich.console import Console

from services.cli.clusters import named_cluster
from services.cli.diffdata import Report, patches
from services.cli.diffview import show
from services.cli.options import EXISTING
from services.cli.printing import PIPE_WIDTH, print_data
from services.cli.progress import counting
from services.kube.api.cluster import Cluster
from services.kube.declaration.baselines import Declared
from services.kube.declaration.declared import Resolved, look_up
from services.kube.objects import ObjectKey
from services.kube.verdict.ruleuse import RuleUse
from services.kube.verdict.scan import compare
from services.kube.verdict.unwanted import find_unwanted, prune_rules
from services.runtime.errors import UsageError
from services.runtime.settings import Settings, load_settings

NOTHING = "nothing is declared: give --baseline, or make one with 'setpoint baseline capture'"
FORMS = ("table", "json", "yaml", "patch")
Filters = Mapping[str, tuple[str, ...]]


@click.command(
    name="diff",
    epilog="Example: setpoint diff --baseline ./platform --context staging",
    short_help="compare what is declared with a cluster, now",
)
@click.option(
    "--baseline", type=EXISTING,
    help="Folder of manifests, or file or folder with Baselines. Default: the cluster's own Helm releases and what "
    "kubectl apply noted.",
)  # fmt: skip
@click.option("--kubeconfig", type=EXISTING, help="A kubeconfig. Without --context its current context is meant.")
@click.option("--context", help="The kubeconfig's context, or 'in-cluster'.")
@click.option("--namespace", "-n", multiple=True, help="Only objects in these namespaces; names or globs.")
@click.option("--kind", multiple=True, help="Only objects of these kinds; names or globs, case does not matter.")
@click.option("--name", multiple=True, help="Only objects of these names; names or globs.")
@click.option("--local", is_flag=True, help="Never ask the server by dry-run; read rights are enough then.")
@click.option("--output", "-o", type=click.Choice(FORMS), default="table", show_default=True)
def command(
    baseline: Path | None, kubeconfig: Path | None, context: str | None, namespace: tuple[str, ...],
    kind: tuple[str, ...], name: tuple[str, ...], local: bool, output: str,
) -> int:  # fmt: skip
    """Show which declared objects are missing or differ, field by field, and who wrote what.

    Values of Secrets are shown as hashes. Where the token may not dry-run, the local comparison decides and says so.
    `--output patch` prints RFC 6902 patches that take each object to its declared state, Secrets left out.
    Exit code 1 when anything differs.
    """
    settings = load_settings(kubeconfig=kubeconfig, context=context)
    filters = {"namespace": namespace, "kind": tuple(map(str.casefold, kind)), "name": name}
    report = asyncio.run(_compare(baseline, settings, filters, not local))
    _print(report, output)
    return 1 if report.differs else 0


async def _compare(path: Path | None, settings: Settings, filters: Filters, dry_run: bool) -> Report:
    begun = perf_counter()
    async with named_cluster(settings) as cluster:
        resolved = await look_up(cluster, path)
        chosen = _chosen(resolved, filters)
        use = RuleUse(resolved.baselines)
        with counting("comparing", len(chosen)) as progress:
            found = await compare(cluster, chosen, dry_run=dry_run, progress=progress, seen=use.see)
            unwanted, refused = await find_unwanted(
                cluster, prune_rules(resolved.baselines, resolved.objects), resolved.objects
            )
        nothing = () if resolved.objects else (NOTHING,)
        notes = (*resolved.problems, *refused, *nothing, *(() if any(filters.values()) else use.idle()))
        return Report(
            cluster.name, _server(cluster), tuple(dict.fromkeys(entry.baseline for entry in chosen.values())), found,
            settings.key(), dry_run, perf_counter() - begun, notes,
            tuple(found for found in unwanted if _passes(found.key, filters)),
        )  # fmt: skip


def _chosen(resolved: Resolved, filters: Filters) -> Mapping[ObjectKey, Declared]:
    """What the filters let through. Raises UsageError where that is nothing, since it is usually a spelling mistake."""
    chosen = {key: entry for key, entry in resolved.objects.items() if _passes(key, filters)}
    if resolved.objects and not chosen:
        given = " ".join(f"--{name} {value}" for name, values in filters.items() for value in values)
        raise UsageError(f"none of the {len(resolved.objects)} declared objects matches {given}", "Correct the filter")
    return chosen


def _passes(key: ObjectKey, filters: Filters) -> bool:
    values = {"namespace": key.namespace, "kind": key.kind.casefold(), "name": key.name}
    return all(not globs or any(fnmatchcase(values[field], glob) for glob in globs) for field, globs in filters.items())


def _server(cluster: Cluster) -> str:
    return cluster.session.host


def _print(report: Report, output: str) -> None:
    if output == "table":
        console = Console()
        show(console if console.is_terminal else Console(width=PIPE_WIDTH, no_color=True), report, datetime.now(UTC))
    elif output == "patch":
        made, secret = patches(report.found.drifted)
        print_data(made, "json")
        for found in report.unwanted:
            click.echo(f"note: {found.key} should not be there; a patch cannot delete it", err=True)
        for name in secret:
            click.echo(f"note: Secret {name} differs and is left out, since a patch would show its values", err=True)
    else:
        print_data(report.data(), output)
