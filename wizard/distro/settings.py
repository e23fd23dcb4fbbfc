"""What is laid over a userland: files, programs and links, by their paths in the image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard import presets
from wizard.distro.distros import System
from wizard.recipe import Recipe

TIME_SERVER = "169.254.169.123"
"""Amazon's time service, at the same address in every VPC, without a way out of it (EC2 User Guide, set-time)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Files with their text, programs (files that may be run) with theirs, and links with what they point to."""

    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "Settings") -> "Settings":
        """Both; where they speak of the same path, the other's."""
        return Settings(
            {**self.files, **other.files}, {**self.programs, **other.programs}, {**self.links, **other.links}
        )

    @property
    def paths(self) -> list[str]:
        """Everything that is written, sorted."""
        return sorted({*self.files, *self.programs, *self.links})


SCRIPTS = Settings(
    programs={
        f"usr/local/lib/{name}": (presets.ROOT / "system" / name).read_text(encoding="utf-8")
        for name in ("instance-metadata", "grow-root")
    }
)
"""What an instance does of itself at its start, whatever its init system: presets/system."""


def chrony(names: System) -> Settings:
    """The whole of chrony's configuration; the poll intervals are those of AWS's guide."""
    text = f"""\
server {TIME_SERVER} prefer iburst minpoll 4 maxpoll 4
driftfile {names.chrony_drift}
makestep 1.0 3
rtcsync
"""
    return Settings({names.chrony_file: text})


def cloud_init(recipe: Recipe) -> Settings:
    """cloud-init told that it is on EC2, and that root has the key too, as without it.

    Its packages switch it on; the network is brought up without it.
    """
    lines = ["datasource_list: [Ec2]", "network: {config: disabled}", "disable_root: false"]
    if recipe.system.hostname:
        lines.append("preserve_hostname: true")
    return Settings({"etc/cloud/cloud.cfg.d/99-ami-wizard.cfg": "\n".join(lines) + "\n"})
