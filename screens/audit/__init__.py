"""The audit as a screen: will this kernel boot on EC2?  Alone, and over the wizard's Kernel form."""

import contextlib

from wizard.kernel.audit import Start


def run(wanted: str | None, start: Start) -> int:
    """Opens it for one kind of instance, or (None) for those of the kernel's own architecture.

    Gives the exit code of `ami-wizard audit` for the kernel that was looked at last, 0 when there was none; 1 after a
    crash (explained), 130 interrupted.  The last lines that it prints are the verdicts and the way back.
    """
    from screens.audit.alone import Audit

    app = Audit(wanted, start)
    code = app.run()
    # After a hang-up there is nobody to tell.
    with contextlib.suppress(OSError):
        print(app.farewell(), flush=True)
    return 1 if code is None else code
