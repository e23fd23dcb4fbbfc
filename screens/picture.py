"""`python -m screens.picture OUT.svg`: the picture in the README, taken of the real screens."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from screens.app import Wizard

SIZE = (100, 30)
KEYS = ("enter", "enter", "down")
"""From Welcome to Target, past the architecture, and the highlight on paravirtual."""


async def picture() -> str:
    """The Target screen as SVG, while paravirtual is looked at and its AKI is shown."""
    app = Wizard(practice=True, answers={})
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for key in KEYS:
            await pilot.press(key)
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
