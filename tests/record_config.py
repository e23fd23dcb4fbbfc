"""Makes a file of presets/kernel/configs: what the audit's profiles name, out of a distribution's whole kernel config.

    python tests/record_config.py CONFIG "Debian's linux-image-… VERSION" > presets/kernel/configs/NAME.config

CONFIG may be packed.  To be run again when the profiles name more options, or the distribution has a newer kernel.
"""

import sys
from pathlib import Path

from wizard import presets
from wizard.kernel.config import config_text, parse
from wizard.kernel.profiles import profile

PACKINGS = {f"KERNEL_{name}" for name in ("GZIP", "BZIP2", "LZMA", "XZ", "LZO", "LZ4", "ZSTD")}
ALWAYS = {"X86", "X86_64", "X86_32", "64BIT", "ARM64", "BLK_DEV_INITRD", "MODULES", *PACKINGS}
"""What tells the architecture and the packing, and what the audit asks beside its rules."""


def named() -> set[str]:
    """Every option that some profile speaks of, also by an earlier name or as an alternative."""
    rules = [rule for name in presets.names("kernel") for rule in profile(name).own]
    others = {name for rule in rules for name in (*rule.or_any, *rule.only_if, rule.renamed_from or "")}
    return {rule.name for rule in rules} | others | ALWAYS


def extract(text: str, source: str) -> str:
    """The extract as a config of its own, its lines in their order."""
    wanted = named()
    header = next(line for line in text.splitlines() if line.startswith("# Linux/"))
    lines = [line for line in text.splitlines() if (options := parse(line).options) and set(options) <= wanted]
    notes = ["#", f"# An extract of {source}: the options that presets/kernel names.", "#", header, "#"]
    return "\n".join([*notes, *lines]) + "\n"


def main() -> None:
    """Reads the whole config, prints the extract."""
    text = config_text(Path(sys.argv[1]).read_bytes())
    if text is None:
        sys.exit(f"{sys.argv[1]} is no kernel config")
    print(extract(text, sys.argv[2]), end="")


if __name__ == "__main__":
    main()
