"""CPU seconds and memory of running processes, as the kernel counts them."""

from collections.abc import Mapping

import psutil


class Usage:
    """Some processes by name."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.processes = {name: psutil.Process(pid) for name, pid in pids.items()}

    def cpu(self) -> float:
        """CPU seconds of all of them since they were started, user and system."""
        return sum(self.by_name().values())

    def by_name(self) -> dict[str, float]:
        """The same for each."""
        times = {name: process.cpu_times() for name, process in self.processes.items()}
        return {name: float(spent.user + spent.system) for name, spent in times.items()}

    def rss(self) -> dict[str, int]:
        """Resident bytes of each."""
        return {name: int(process.memory_info().rss) for name, process in self.processes.items()}
