"""`distill run --wait`: staying until one of a recipe's batches has ended.

Belongs here: asking after batches now and then, and telling how they do. Does not belong here: collecting them (the
asset) or when a run needs them (run).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from distill_assets.automation import batch_folder
from distill_assets.clients.batch_api import UnreachableError
from distill_assets.clients.batches import poll_batches
from distill_assets.config import Recipe, read_secret


def wait_for_batches(recipe: Recipe, poll_s: float, say: Callable[[str], None]) -> None:
    """Return when a run would bring one of the recipe's batches further, or when none is open.

    Args:
        poll_s: seconds between two looks.

    Raises:
        TeacherError: an endpoint refuses to be asked. One that cannot be reached is asked again.
    """
    told: set[str] = set()
    while True:
        try:
            polled = poll_batches(batch_folder(recipe), recipe.list_teachers(), read_secret)
        except UnreachableError as error:
            polled, words = [], [f"{error} It is asked again."]
        else:
            if not polled:
                time.sleep(poll_s)  # for the run that is asking instead of this one
            if not polled or any(can_go_on for _, can_go_on in polled):
                return
            words = [f"batch {batch.batch_id}: {batch.status}" for batch, _ in polled]
        for line in words:
            if line not in told:
                say(line)
        told |= set(words)
        time.sleep(poll_s)
