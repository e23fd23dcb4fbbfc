"""What really happened to a kernel that lacked an option: presets/truth/linux-*.toml, written by `make truth`."""

from dataclasses import dataclass

from wizard import presets
from wizard.kernel.profiles import instance_profiles


@dataclass(frozen=True, slots=True)
class Seen:
    """A boot without the option: what came of it, the console's last words, and the kernel's version."""

    outcome: str
    said: tuple[str, ...]
    version: str


def seen_without(kind: str, option: str) -> Seen | None:
    """What was seen of an instance of this kind, e.g. "pv-x86_64"; None when that was not tried.

    What a root file system or a userland asks for holds for every kind of instance.
    """
    kinds = {one.name for one in instance_profiles()}
    rows = [row for name in presets.names("truth") for row in presets.load(f"truth/{name}").get("result", ())]
    rows = [row for row in rows if row["option"] == option and (row["profile"] == kind or row["profile"] not in kinds)]
    rows.sort(key=lambda row: row["profile"] != kind)
    if not rows:
        return None
    return Seen(rows[0]["outcome"], tuple(rows[0]["said"]), rows[0]["version"])
