"""`setpoint baseline capture|learn`: make a baseline from what runs, and find out whom it should trust. Reads only."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from services.cli.clusters import named_cluster
from services.cli.options import EXISTING
from services.cli.printing import output_option, print_data, print_rows
from services.cli.progress import counting
from services.kube.captures.capture import Captured, Selection, capture
from services.kube.captures.learn import Lesson, Writer, snippet
from services.kube.captures.writing import BASELINE_FILE, check_free, to_yaml, write_capture
from services.kube.comparison.schema import UNKNOWN
from services.kube.declaration.baselines import Declared
from services.kube.declaration.declared import look_up
from services.kube.objects import Object
from services.kube.verdict.scan import compare
from services.runtime.errors import UsageError
from services.runtime.settings import Settings, load_settings

BASELINE = """\
# What ran in {context} when it was captured. From here on it is what is declared: read it, correct it, keep it in Git.
# 'setpoint baseline learn --baseline {folder} --context {context}' proposes spec.manager and spec.trustedManagers.
apiVersion: setpoint.dev/v1alpha1
kind: Baseline
metadata: {{name: {name}}}
spec:
  source: {{folder: .}}
"""
COLUMNS = {
    "manager": "manager", "standing": "is", "objects": "objects", "fields": "fields", "added": "undeclared",
    "first": "first", "last": "last", "proposed": "trust?",
}  # fmt: skip


@click.group(
    name="baseline",
    epilog="Example: setpoint baseline capture --context staging --namespace payments --out ./platform",
    short_help="make a first baseline from what runs, and learn whom to trust",
)
def command() -> None:
    """Make a baseline from what runs in a cluster, and learn which field managers it should trust."""


def cluster_choice(wrapped: Any) -> Any:
    """`--kubeconfig` and `--context`."""
    wrapped = click.option("--context", help="The kubeconfig's context, or 'in-cluster'.")(wrapped)
    return click.option("--kubeconfig", type=EXISTING, help="Without --context its current context is meant.")(wrapped)


@command.command(
    name="capture", epilog="Example: setpoint baseline capture --context staging --namespace payments --out ./platform"
)
@cluster_choice
@click.option("--namespace", "-n", multiple=True, help="Only these namespaces; names or globs. Default: all.")
@click.option("--kind", multiple=True, help="Only these kinds; names or globs, such as Deployment or '*policies'.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to write.")
@click.option("--name", help="The baseline's name. Default: the context's.")
@click.option("--with-secrets", is_flag=True, help="Write Secrets as well: their values then stand in files.")
@click.option("--force", is_flag=True, help="Write into a folder that holds something: an earlier capture.")
@output_option
def capturing(
    kubeconfig: Path | None, context: str | None, namespace: tuple[str, ...], kind: tuple[str, ...], out: Path,
    name: str | None, with_secrets: bool, force: bool, output: str,
) -> int:  # fmt: skip
    """Write what runs now as manifests, one file an object, with a baseline that names them.

    Left out are what controllers and Kubernetes itself make, statuses, the server's metadata, and defaults.
    """
    settings = load_settings(kubeconfig=kubeconfig, context=context)
    if name and not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        raise UsageError(f"--name {name} is no name", "Use lower-case letters, digits and '-'")
    check_free(out, force)
    found, from_ = asyncio.run(_capture(settings, Selection(namespace, kind, with_secrets)))
    if not found.objects:
        raise UsageError("nothing was found to capture", "Correct --namespace or --kind, or the token's read rights")
    text = BASELINE.format(context=from_, folder=out, name=name or _name(from_))
    write_capture(out, found.objects, text, force=force)
    _tell_capture(found, out, output)
    return 0


async def _capture(settings: Settings, selection: Selection) -> tuple[Captured, str]:
    async with named_cluster(settings) as cluster:
        with counting("capturing objects", None) as progress:
            return await capture(cluster, selection, progress), settings.context or cluster.name


def _name(context: str) -> str:
    """A baseline's name from a context's, which may be an ARN."""
    return re.sub(r"[^a-z0-9]+", "-", context.lower())[-63:].strip("-") or "captured"


def _tell_capture(found: Captured, out: Path, output: str) -> None:
    if output != "table":
        print_data(
            {
                "folder": str(out), "objects": len(found.objects), "left_out": dict(found.left_out.most_common()),
                "forbidden": found.forbidden,
            },
            output,
        )  # fmt: skip
        return
    count = len(found.objects)
    click.echo(f"{count} object{'s' * (count != 1)} written to {out}, and {out / BASELINE_FILE}")
    for reason, count in found.left_out.most_common():
        click.echo(f"  left out: {count} {reason}")
    if found.forbidden:
        click.echo(f"  not readable with this token: {', '.join(sorted(found.forbidden))}")


@command.command(name="learn", epilog="Example: setpoint baseline learn --baseline ./platform --context staging")
@click.option("--baseline", type=EXISTING, help="As for diff. Default: what the cluster itself declares.")
@cluster_choice
@output_option
def learning(baseline: Path | None, kubeconfig: Path | None, context: str | None, output: str) -> int:
    """Show who writes into what is declared, and propose `manager` and `trustedManagers`. Writes nothing.

    A name says little: look at what a manager wrote (`setpoint diff`) before you trust it.
    """
    settings = load_settings(kubeconfig=kubeconfig, context=context)
    writers = asyncio.run(_learn(baseline, settings))
    proposal = snippet(writers)
    if output != "table":
        print_data({"managers": [_row(one) for one in writers], "proposal": proposal}, output)
        return 0
    for name in dict.fromkeys(one.baseline for one in writers):
        Console(highlight=False).print(f"[bold]baseline {name}[/]")
        rows = [_row(one) for one in writers if one.baseline == name]
        print_rows([{**row, "proposed": "proposed" if row["proposed"] else ""} for row in rows], output, COLUMNS)
    _tell_proposal(writers, proposal)
    return 0


async def _learn(path: Path | None, settings: Settings) -> list[Writer]:
    lesson = Lesson()
    async with named_cluster(settings) as cluster:
        resolved = await look_up(cluster, path)

        def see(declared: Declared, live: Object | None) -> None:
            if live is not None:
                kind = (declared.key.group, declared.version, declared.key.kind)
                lesson.see(declared, live, cluster.schemas.get(kind, UNKNOWN))

        with counting("reading", len(resolved.objects)) as progress:
            await compare(cluster, resolved.objects, dry_run=False, progress=progress, seen=see)
    return lesson.found()


def _row(one: Writer) -> dict[str, Any]:
    return {
        "baseline": one.baseline, "manager": one.manager, "standing": one.standing, "objects": one.objects,
        "fields": one.fields, "added": one.added, "first": one.first, "last": one.last, "proposed": one.proposed,
    }  # fmt: skip


def _tell_proposal(writers: Sequence[Writer], proposal: Object) -> None:
    if not writers:
        click.echo("nothing that is declared is there: nobody has written anything")
    elif not proposal:
        click.echo("nothing to propose: only known controllers, people's tools and trusted managers write here")
    for name, spec in proposal.items():
        click.echo(f"# proposed for the baseline '{name}'; 'manager' is who applies the manifests")
        click.echo(to_yaml({"spec": spec}), nl=False)
