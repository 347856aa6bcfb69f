"""Which alerts the topic has already: the last ones' ids. What is read twice from a log is told once."""

from collections import OrderedDict

MOST = 100_000


class Known:
    """Bounded: the oldest is forgotten first, and would be told again with the same id."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, event_id: str) -> bool:
        return event_id in self.ids

    def add(self, event_id: str) -> None:
        """The broker has it."""
        self.ids[event_id] = None
        self.ids.move_to_end(event_id)
        while len(self.ids) > self.most:
            self.ids.popitem(last=False)
