"""Every action by its name. A new one is a file here and a line below."""

from services.reconciler.actions.base import Action
from services.reconciler.actions.prune import Prune
from services.reconciler.actions.revert import Revert

ACTIONS: dict[str, Action] = {action.name: action for action in (Revert(), Prune())}
