"""Where AWS is: the real one, or the practice cloud."""

import contextlib
from collections.abc import Iterator

from wizard import folders


@contextlib.contextmanager
def endpoint(*, practice: bool) -> Iterator[str | None]:
    """None for the real one, else the practice cloud's address while it is needed."""
    if not practice:
        yield None
        return
    from wizard.cloud.practice.process import practice_cloud

    with practice_cloud(folders.practice()) as address:
        yield address
