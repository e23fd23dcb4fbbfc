"""`python -m screens.picture OUT.svg`: the picture in the README, taken of the real screens."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from screens.app import Wizard

SIZE = (110, 34)
KEYS = ("enter", "enter", "down", "enter", "enter", "enter")
"""From Welcome to Target, paravirtual chosen, and on to the table of AKIs."""


async def picture() -> str:
    """The Target screen as SVG, with the AKIs of a paravirtual AMI."""
    app = Wizard(practice=True, answers={})
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for key in KEYS:
            await pilot.press(key)
            await pilot.pause(0.3)
        # The preview is worked out beside the screen.
        await pilot.pause(1)
        return app.export_screenshot(title="ami-wizard")


def main() -> int:
    """Writes the picture; the user's own drafts and settings do not show in it."""
    if len(sys.argv) != 2:
        print("Usage: python -m screens.picture OUT.svg", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        os.environ["AMI_WIZARD_HOME"] = home
        os.environ["AWS_REGION"] = "us-east-1"
        Path(sys.argv[1]).write_text(asyncio.run(picture()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
