"""What peers need for the same work, as figures measured before: beside ours they are a scale, no result of this run.

Measured on two shared cores against a real API server 1.37.2 with shipped defaults, with 2 000 objects; never copied
from a vendor's page. The run's own comparisons (plain lists, kubectl) are measured anew each time.
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """One tool in one version. Rates in objects a second, memory in MiB."""

    name: str
    compared_per_s: tuple[int, int]
    compared_per_cpu_s: int
    memory_2000: tuple[int, int]
    correct_p50_s: tuple[float, float]


PEERS = (
    Peer("Argo CD 3.5.1", (36, 48), 105, (435, 456), (0.40, 0.43)),
    Peer("Flux kustomize-controller 1.9.4, interval 1 m", (76, 141), 230, (106, 168), (24, 35)),
)


def rates() -> str:
    """How fast they compare everything anew."""
    return "; ".join(
        f"{peer.name}: {peer.compared_per_s[0]}-{peer.compared_per_s[1]} objects/s, "
        f"{peer.compared_per_cpu_s} a CPU second" for peer in PEERS
    )  # fmt: skip


def memories() -> str:
    """What they hold for 2 000 objects."""
    return "; ".join(f"{peer.name}: {peer.memory_2000[0]}-{peer.memory_2000[1]} MiB for 2000 objects" for peer in PEERS)


class Talon(NamedTuple):
    """Falco Talon (HEAD 19d3add) as shipped: no durability, one alert at a time, its client's limiter at 5 requests/s.

    Label action on a pod, real etcd and kube-apiserver, two shared cores. `unlimited` is with the limiter removed.
    """

    spaced_p50_ms: tuple[float, float] = (13.5, 13.8)
    spaced_p99_ms: tuple[float, float] = (43, 65)
    back_to_back_ms: float = 800
    burst_actions_per_s: float = 1.26
    unlimited: tuple[float, float] = (39, 63)
    lost: str = "146 of 150 and 147 of 151 accepted alerts"
    doubled: str = "98 actions for 80 alerts, over a window of 120 s"


def talon_latency() -> str:
    """How fast one action follows one alert there."""
    it = Talon()
    return (
        f"Falco Talon, nothing stored: p50 {it.spaced_p50_ms[0]}-{it.spaced_p50_ms[1]} ms, "
        f"p99 {it.spaced_p99_ms[0]:.0f}-{it.spaced_p99_ms[1]:.0f} ms when spaced 0.9 s, "
        f"{it.back_to_back_ms:.0f} ms back to back"
    )


def talon_burst() -> str:
    """How a burst of 500 alerts goes there."""
    it = Talon()
    return (
        f"Falco Talon: {it.burst_actions_per_s} actions/s as shipped, {it.unlimited[0]:.0f}-{it.unlimited[1]:.0f} "
        "with its client's limiter removed"
    )


def talon_losses() -> str:
    """What a kill costs there."""
    it = Talon()
    return f"Falco Talon, kill -9 under 100 alerts/s: lost {it.lost}; doubled {it.doubled}"
