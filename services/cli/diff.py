"""`setpoint diff`: a baseline against a cluster, now. Needs no broker and changes nothing."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from schemas.events import FieldChange
from services.cli.options import EXISTING
from services.cli.printing import output_option, print_data
from services.kube.baselines import Declared, folder_state
from services.kube.cluster import open_cluster
from services.kube.declared import bind_all
from services.kube.describe import describe
from services.kube.judge import Finding
from services.kube.objects import Object
from services.kube.scan import Comparison, compare
from services.kube.session import current_context
from services.runtime.errors import UsageError
from services.runtime.settings import Settings, load_settings

MARKS = {"changed": ("~", "yellow"), "removed": ("-", "red"), "added": ("+", "green")}
LONGEST = 80


@click.command(
    name="diff",
    epilog="Example: setpoint diff --baseline ./platform --context staging",
    short_help="compare a baseline with a cluster, now",
)
@click.option("--baseline", type=EXISTING, required=True, help="Folder of manifests, or file or folder with Baselines.")
@click.option("--kubeconfig", type=EXISTING, help="A kubeconfig. Without --context its current context is meant.")
@click.option("--context", help="The kubeconfig's context, or 'in-cluster'.")
@click.option("--local", is_flag=True, help="Never ask the server by dry-run; read rights are enough then.")
@output_option
def command(baseline: Path, kubeconfig: Path | None, context: str | None, local: bool, output: str) -> int:
    """Show which declared objects are missing or differ, field by field, and who wrote what.

    Values of Secrets are shown as hashes. Where the token may not dry-run, the local comparison decides and says so.
    Exit code 1 when anything differs.
    """
    settings = load_settings(kubeconfig=kubeconfig, context=context)
    found, cluster = asyncio.run(_compare(baseline, settings, not local))
    data = as_data(found, settings.key())
    if output == "table":
        _show(Console(), data, cluster)
    else:
        print_data(data, output)
    return 1 if found.drifted else 0


async def _compare(baseline: Path, settings: Settings, dry_run: bool) -> tuple[Comparison, str]:
    state = folder_state(baseline)
    if not settings.context and not settings.kubeconfig:
        raise UsageError("no cluster was named", "Give --context NAME or --kubeconfig FILE")
    context = settings.context or current_context(settings.kubeconfig or Path())
    cluster = await open_cluster(settings.kubeconfig, context, settings.cluster)
    try:
        declared = bind_all(cluster, state)
        columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task("", total=len(declared))
            found = await compare(
                cluster, declared, dry_run=dry_run, progress=lambda count: bars.update(task, completed=count)
            )
        return found, cluster.name
    finally:
        await cluster.close()


def as_data(found: Comparison, mask_key: bytes) -> dict[str, Any]:
    """The whole result as `--output json` prints it."""
    return {
        "checked": found.checked,
        "drifts": [_drift(declared, live, finding, mask_key) for declared, live, finding in found.drifted],
        "skipped": [{**_identity(declared), "reason": str(reason)} for declared, reason in found.skipped],
    }


def _identity(declared: Declared) -> dict[str, Any]:
    key = declared.key
    return {
        "group": key.group, "version": declared.version, "kind": key.kind, "namespace": key.namespace, "name": key.name,
    }  # fmt: skip


def _drift(declared: Declared, live: Object | None, finding: Finding, mask_key: bytes) -> dict[str, Any]:
    fields = describe(live, declared.obj, finding.fields, mask_key)
    return {
        **_identity(declared),
        "state": finding.state,
        "engine": finding.engine,
        "engine_reason": finding.engine_reason,
        "fields": [_field(field) for field in fields],
    }


def _field(field: FieldChange) -> dict[str, Any]:
    return {
        "path": field.path, "kind": field.kind, "desired": field.desired, "live": field.live,
        "manager": field.manager, "since": field.since,
    }  # fmt: skip


def _show(console: Console, data: Mapping[str, Any], cluster: str) -> None:
    for drift in data["drifts"]:
        where = f"{drift['namespace']}/" if drift["namespace"] else ""
        title = Text(f"{drift['kind']} {where}{drift['name']}", "bold")
        note = "  missing" if drift["state"] == "missing" else ""
        if drift["engine_reason"]:
            note += f"  (judged locally: {drift['engine_reason']})"
        console.print(title + Text(note, "red" if note else ""), soft_wrap=True)
        for field in drift["fields"]:
            console.print(_line(field), soft_wrap=True)
    for skipped in data["skipped"]:
        console.print(f"skipped {skipped['kind']} {skipped['name']}: {skipped['reason']}", style="dim", soft_wrap=True)
    count = len(data["drifts"])
    differs = "none differs" if not count else f"{count} differ" + ("s" if count == 1 else "")
    skipped = f", {len(data['skipped'])} skipped" if data["skipped"] else ""
    summary = f"{data['checked']} objects compared with {cluster}: {differs}{skipped}"
    console.print(summary, highlight=False, soft_wrap=True)


def _line(field: Mapping[str, Any]) -> Text:
    mark, style = MARKS[field["kind"]]
    text = Text(f"  {mark} {field['path']}  ", style)
    if field["kind"] == "added":
        text.append(_short(field["live"]))
    elif field["kind"] == "removed":
        text.append(f"{_short(field['desired'])} → gone")
    else:
        text.append(f"{_short(field['desired'])} → {_short(field['live'])}")
    if field["manager"]:
        since = f" since {field['since']:%Y-%m-%d %H:%M:%SZ}" if field["since"] else ""
        text.append(f"  by {field['manager']}{since}", "magenta")
    return text


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
