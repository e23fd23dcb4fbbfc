"""Will a kernel boot on EC2?  A config held against a profile."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from wizard.kernel.config import KernelConfig
from wizard.kernel.profiles import Profile, Rule, Version, instance_profiles, numbers, profile

SEVERITIES = ("boot", "access", "recommended")

TABLES = ("dos", "gpt")
"""Partition tables with a profile of their own: table-dos, table-gpt."""


@dataclass(frozen=True, slots=True)
class Start:
    """How the kernel will be started, as far as that is known; None is "unknown".

    initramfs   the names of the modules in it (as `same_module` writes them); empty when there is none
    pv_grub     the version of PV-GRUB that the AKI names, e.g. "1.05"
    root        the root disk's file system, e.g. "ext4"
    table       its partition table: "dos", "gpt" or "none"
    boot_mode   as RegisterImage takes it
    """

    initramfs: frozenset[str] | None = None
    pv_grub: str | None = None
    root: str | None = None
    table: str | None = None
    boot_mode: str | None = None

    @property
    def profiles(self) -> tuple[str, ...]:
        """What this asks of a kernel beside the kind of instance."""
        wanted = [f"rootfs-{self.root}"] if self.root else []
        wanted += [f"table-{self.table}"] if self.table in TABLES else []
        wanted += ["boot-uefi"] if self.boot_mode in ("uefi", "uefi-preferred") else []
        return tuple(wanted)


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
    """What an audit says; None is "unknown".  Findings stand in the order boot, access, recommended.

    provided  modules that the initramfs must hold for this to be true, where nobody has looked into it
    unknown   what would have to be known for an answer; empty where there is one
    """

    profile: str
    boots: bool | None
    reachable: bool | None
    findings: tuple[Finding, ...]
    provided: tuple[str, ...] = ()
    unknown: str = ""


UNKNOWN_START = Start()


def audit(config: KernelConfig, against: Profile | str, start: Start = UNKNOWN_START) -> Verdict:
    """The verdict on a config for a kind of instance, e.g. "pv-x86_64", started that way.

    A config that is not complete can fail, but never pass.  Raises Failure "unknown-profile".
    """
    chosen = profile(against) if isinstance(against, str) else against
    rules = rules_for(chosen, start)
    renamed = {rule.renamed_from for rule in rules}
    applying = [rule for rule in rules if _applies(rule, config, rule.name in renamed)]
    findings = [finding for rule in applying if (finding := _check(rule, config, start))]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    severities = {finding.severity for finding in findings}
    passed = True if config.complete else None
    boots = False if "boot" in severities else passed
    reachable = False if severities & {"boot", "access"} else passed
    provided = _early_modules(applying, config) if boots and start.initramfs is None else ()
    unknown = config.lacks if None in (boots, reachable) else ""
    return Verdict(chosen.name, boots, reachable, tuple(findings), provided, unknown)


def profiles_for(arch: str | None) -> tuple[str, ...]:
    """The kinds of instances that a kernel of this architecture can be meant for; all of them when it is unknown."""
    return tuple(one.name for one in instance_profiles() if arch in (None, one.arch))


def needs_initramfs(config: KernelConfig, kind: str, start: Start) -> bool:
    """Whether the root disk cannot be mounted without modules: its driver, its file system or its table is one.

    `kind` is a kind of instance, e.g. "hvm-x86_64".  Raises Failure "unknown-profile" for what is not known.
    """
    own = [rule for name in (kind, *start.profiles) for rule in profile(name).own]
    return bool(_early_modules([rule for rule in own if _applies(rule, config, False)], config))


def rules_for(chosen: Profile, start: Start) -> list[Rule]:
    """The profile's rules and those of what is known of the start; of two on one option, the special one."""
    special = {rule.name: rule for name in start.profiles for rule in profile(name).own}
    general = (profile("rootfs-any").own if start.root else ()) + (profile("table-any").own if start.table else ())
    kept = [rule for rule in chosen.rules if rule.name not in special and rule not in general]
    rules = [*kept, *special.values()]
    return [sharpened for rule in rules if (sharpened := _for_loader(rule, start.pv_grub))]


def _for_loader(rule: Rule, pv_grub: str | None) -> Rule | None:
    """A rule about PV-GRUB, once its version is known: deadly, or nothing."""
    if rule.pv_grub is None or pv_grub is None:
        return rule
    return replace(rule, severity="boot") if numbers(pv_grub) <= rule.pv_grub else None


def _early_modules(rules: Iterable[Rule], config: KernelConfig) -> tuple[str, ...]:
    """The modules without which the root disk cannot be mounted."""
    return tuple(dict.fromkeys(_module(rule) for rule in rules if rule.early and _is_module(rule, config)))


def _is_module(rule: Rule, config: KernelConfig) -> bool:
    values = [config.value(name) for name in (rule.name, *rule.or_any)]
    return "m" in values and "y" not in values


def _module(rule: Rule) -> str:
    return rule.module or rule.name.lower()


def same_module(name: str) -> str:
    """A module's name as the kernel compares it: a dash is an underscore."""
    return name.replace("-", "_")


def _applies(rule: Rule, config: KernelConfig, was_renamed: bool) -> bool:
    """Whether a kernel of this version and architecture has the option at all, or should have."""
    if rule.arch and config.arch and rule.arch != config.arch:
        return False
    if any(not config.has(name) for name in rule.only_if):
        return False
    if config.version is None:
        # A rule for old kernels only counts where the config speaks of it.
        return rule.until is None or (not was_renamed and config.value(rule.name) is not None)
    if is_past(rule, config.version):
        return rule.ends
    return rule.since is None or config.version >= rule.since


def is_past(rule: Rule, version: Version | None) -> bool:
    """Whether the kernel is newer than the last one that has the option."""
    return version is not None and rule.until is not None and version[: len(rule.until)] > rule.until


def _check(rule: Rule, config: KernelConfig, start: Start) -> Finding | None:
    if is_past(rule, config.version):
        found: str | None = f"gone since Linux {'.'.join(map(str, rule.until or ()))}"
    else:
        found = config.value(rule.name)
        if found is None and config.version is None and rule.renamed_from:
            found = config.value(rule.renamed_from)
        values = [found, *(config.value(name) for name in rule.or_any)]
        if any(_satisfies(rule, value, config, start.initramfs) for value in values):
            return None
        if None in values and not config.complete:
            return None
    return Finding(rule.name, rule.wanted, found or "absent", rule.severity, rule.why, rule.breaks, rule.source)


def _satisfies(rule: Rule, found: str | None, config: KernelConfig, initramfs: Collection[str] | None) -> bool:
    match rule.wanted:
        case "n":
            return found in (None, "n")
        case "set":
            return found not in (None, "n")
        case "y-or-m":
            return found == "y" or (found == "m" and (not rule.early or _is_brought(rule, config, initramfs)))
        case value:
            return found is not None and found.lower() == value.lower()


def _is_brought(rule: Rule, config: KernelConfig, initramfs: Collection[str] | None) -> bool:
    """Whether an initramfs brings the module in time; of one that nobody has looked into it is believed.

    It is of no use to a kernel that cannot unpack one.
    """
    unpacks = config.value("BLK_DEV_INITRD")
    if unpacks != "y" and (config.complete or unpacks is not None):
        return False
    return initramfs is None or same_module(_module(rule)) in initramfs
