"""Will a kernel boot on EC2?  A config held against a profile."""

from dataclasses import dataclass

from wizard.kernel.config import KernelConfig
from wizard.kernel.profiles import Profile, Rule, instance_profiles, profile

SEVERITIES = ("boot", "access", "recommended")

DISK_TABLES = {"gpt": "EFI_PARTITION", "dos": "MSDOS_PARTITION", "mbr": "MSDOS_PARTITION"}


@dataclass(frozen=True, slots=True)
class Finding:
    """An option that is not as wanted.  `found` is its value, "n" when it is off, "absent" when not mentioned."""

    option: str
    wanted: str
    found: str
    severity: str
    why: str
    breaks: str
    source: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit says; None is "unknown".  Findings stand in the order boot, access, recommended."""

    profile: str
    boots: bool | None
    reachable: bool | None
    findings: tuple[Finding, ...]


def audit(config: KernelConfig, against: Profile | str, *, initramfs: bool = True) -> Verdict:
    """The verdict on a config for a profile, e.g. "pv-x86_64" or "rootfs-btrfs".

    `initramfs`: whether the kernel will be started with one, so that the root disk's drivers may be modules.
    A config that is not complete can fail, but never pass.  Raises Failure "unknown-profile".
    """
    chosen = profile(against) if isinstance(against, str) else against
    renamed = {rule.renamed_from for rule in chosen.rules}
    findings = [
        finding
        for rule in chosen.rules
        if _applies(rule, config, rule.name in renamed) and (finding := _check(rule, config, initramfs))
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    severities = {finding.severity for finding in findings}
    passed = True if config.complete else None
    boots = False if "boot" in severities else passed
    reachable = False if severities & {"boot", "access"} else passed
    return Verdict(chosen.name, boots, reachable, tuple(findings))


def profiles_for(arch: str | None) -> tuple[str, ...]:
    """The kinds of instances that a kernel of this architecture can be meant for; all of them when it is unknown."""
    return tuple(one.name for one in instance_profiles() if arch in (None, one.arch))


def needs_initramfs(config: KernelConfig, virtualization: str, root_fs: str, partition_table: str) -> bool:
    """Whether the root disk cannot be mounted without modules: its driver or its file system is built as one.

    `virtualization` is "paravirtual" or "hvm"; `root_fs` e.g. "ext4"; `partition_table` "gpt", "dos" or "none".
    Raises Failure "unknown-profile" for a file system that is not known.
    """
    kind = f"{'pv' if virtualization == 'paravirtual' else 'hvm'}-{config.arch or 'x86_64'}"
    rules = [*profile(kind).own, *profile(f"rootfs-{root_fs}").own]
    early = [rule for rule in rules if rule.early and _applies(rule, config, False)]
    table = DISK_TABLES.get(partition_table)
    if table and config.value(table) == "m":
        return True
    return any(_needs_module(rule, config) for rule in early)


def _needs_module(rule: Rule, config: KernelConfig) -> bool:
    values = [config.value(name) for name in (rule.name, *rule.or_any)]
    return "m" in values and "y" not in values


def _applies(rule: Rule, config: KernelConfig, was_renamed: bool) -> bool:
    """Whether a kernel of this version and architecture has the option at all, or should have."""
    if rule.arch and config.arch and rule.arch != config.arch:
        return False
    if config.version is None:
        # A rule for old kernels only counts where the config speaks of it.
        return rule.until is None or (not was_renamed and config.value(rule.name) is not None)
    if is_past(rule, config):
        return rule.ends
    return rule.since is None or config.version >= rule.since


def is_past(rule: Rule, config: KernelConfig) -> bool:
    """Whether the kernel is newer than the last one that has the option."""
    if config.version is None or rule.until is None:
        return False
    return config.version[: len(rule.until)] > rule.until


def _check(rule: Rule, config: KernelConfig, initramfs: bool) -> Finding | None:
    if is_past(rule, config):
        found: str | None = f"gone since Linux {'.'.join(map(str, rule.until or ()))}"
    else:
        found = config.value(rule.name)
        if found is None and config.version is None and rule.renamed_from:
            found = config.value(rule.renamed_from)
        values = [found, *(config.value(name) for name in rule.or_any)]
        if any(_satisfies(rule, value, config, initramfs) for value in values):
            return None
        if None in values and not config.complete:
            return None
    return Finding(rule.name, rule.wanted, found or "absent", rule.severity, rule.why, rule.breaks, rule.source)


def _satisfies(rule: Rule, found: str | None, config: KernelConfig, initramfs: bool) -> bool:
    match rule.wanted:
        case "n":
            return found in (None, "n")
        case "set":
            return found not in (None, "n")
        case "y-or-m":
            return found == "y" or (found == "m" and (not rule.early or (initramfs and _unpacks_initramfs(config))))
        case value:
            return found is not None and found.lower() == value.lower()


def _unpacks_initramfs(config: KernelConfig) -> bool:
    """An initramfs is of no use to a kernel that cannot unpack one."""
    return config.value("BLK_DEV_INITRD") == "y" or (not config.complete and config.value("BLK_DEV_INITRD") is None)
