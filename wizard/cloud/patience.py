"""Asking once more, when what went wrong goes by itself."""

import random
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from wizard.cloud.errors import PASSING, as_failure
from wizard.cloud.waiting import Asked, rest
from wizard.explain import Failure

ATTEMPTS = 8
PATIENCE = 120.0
"""A request is given up after so many attempts, and not before so many seconds."""

LONGEST_PAUSE = 15.0


def patiently(
    ask: Callable[[], None],
    operation: str,
    region: str,
    told: Callable[[Failure], None],
    halted: Asked,
    *,
    passes: Callable[[Exception], bool] = lambda _error: False,
) -> None:
    """Asks until it succeeds; what passes by itself is waited out, and told of, the rest stops it at once.

    `passes`: whether an error passes by itself although it does not as a rule.  Raises Failure and Cancelled.
    """
    pause, attempts, deadline = 0.25, 0, None
    while True:
        try:
            return ask()
        except (ClientError, BotoCoreError) as error:
            failure = as_failure(error, operation, region)
            attempts += 1
            deadline = deadline or time.monotonic() + PATIENCE
            is_over = attempts >= ATTEMPTS and time.monotonic() > deadline
            if is_over or not (failure.code in PASSING or passes(error)):
                raise failure from error
            told(failure)
        rest(random.uniform(0.5, 1.0) * pause, halted)
        pause = min(2 * pause, LONGEST_PAUSE)
