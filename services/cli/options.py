"""Options that several commands share, and how they become settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
EXISTING = click.Path(exists=True, path_type=Path)


def _all(*options: Callable[[CommandT], CommandT]) -> Callable[[CommandT], CommandT]:
    def decorate(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def kafka_option(command: CommandT) -> CommandT:
    """`--kafka HOST:PORT`."""
    return click.option("--kafka", metavar="HOST:PORT", help="The broker. Default: SETPOINT_KAFKA.")(command)


def cluster_options(command: CommandT) -> CommandT:
    """`--kubeconfig`, `--context` and `--cluster`."""
    return _all(
        click.option("--kubeconfig", type=EXISTING, help="Default: KUBECONFIG, else ~/.kube/config."),
        click.option("--context", help="The kubeconfig's context, or 'in-cluster'. Never guessed."),
        click.option("--cluster", help="The cluster's name in events. Default: the context's name."),
    )(command)


def files_options(command: CommandT) -> CommandT:
    """`--baselines` and `--policies`."""
    return _all(
        click.option(
            "--baselines", type=EXISTING, help="File or folder of Baselines. None: Helm releases, last-applied."
        ),
        click.option("--policies", type=EXISTING, help="File or folder with Policy documents. None: observe only."),
    )(command)


def gateway_options(command: CommandT) -> CommandT:
    """`--gateway-listen`, `--gateway-secrets` and the certificate's two."""
    return _all(
        click.option("--gateway-listen", metavar="HOST:PORT", help="For the gateway. Default: 127.0.0.1:8080."),
        click.option("--gateway-secrets", type=EXISTING, help="For the gateway: folder or YAML file, see docs/who.md."),
        click.option("--gateway-tls-certificate", type=EXISTING, help="For the gateway: PEM. None: plain HTTP."),
        click.option("--gateway-tls-key", type=EXISTING, help="For the gateway: the certificate's key, PEM."),
    )(command)


def log_options(command: CommandT) -> CommandT:
    """`--log-level` and `--log-format`."""
    return _all(
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"])),
        click.option("--log-format", type=click.Choice(["json", "console"])),
    )(command)
