"""What would make a kernel fit: a config fragment that the kernel's own scripts/kconfig/merge_config.sh takes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from wizard.kernel.audit import UNKNOWN_START, Finding, Start, Verdict, is_past, rules_for
from wizard.kernel.config import KernelConfig
from wizard.kernel.needs import Kernel, choice, excluded_by, instead, needs
from wizard.kernel.profiles import Rule, profile

HAS_OLDDEFCONFIG = (3, 7)
"""The first Linux that answers new questions with their defaults by `make olddefconfig`."""

Wanted = Mapping[str, tuple[Finding, Rule]]
"""The findings to mend by their option, each with the rule that it broke."""


@dataclass(frozen=True, slots=True)
class Setting:
    """An option's value in the fragment, "n" for off, and why it is there."""

    option: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mend:
    """What an audit's findings come to.

    profiles  those that the settings are for
    settings  each option once, after those that it needs
    beyond    what no option of this kernel mends, by option or profile: what helps instead
    """

    profiles: tuple[str, ...]
    settings: tuple[Setting, ...]
    beyond: Mapping[str, str]


def fragment(
    config: KernelConfig, verdicts: Iterable[Verdict], start: Start = UNKNOWN_START, *, recommended: bool = False
) -> str:
    """The config fragment as text; see `mend`."""
    return as_text(mend(config, verdicts, start, recommended=recommended), config)


def mend(
    config: KernelConfig, verdicts: Iterable[Verdict], start: Start = UNKNOWN_START, *, recommended: bool = False
) -> Mend:
    """What mends a config, by the verdicts on it for profiles of one architecture and for that start.

    Only profiles that it is not fit for count, and only findings of severity "boot" and "access";
    with `recommended` all of both.
    """
    meant = [one for one in verdicts if recommended or not (one.boots and one.reachable)]
    beyond: dict[str, str] = {}
    wanted: dict[str, tuple[Finding, Rule]] = {}
    for verdict in meant:
        if config.arch and not _is_same_source(config.arch, verdict.profile):
            beyond[verdict.profile] = f"this config is for {config.arch}: take one for {profile(verdict.profile).arch}"
            continue
        rules = {rule.name: rule for rule in rules_for(profile(verdict.profile), start)}
        for finding in verdict.findings:
            rule = rules.get(finding.option)
            if rule is None:
                # Not about an option: what the files themselves contradict each other in.
                continue
            if is_past(rule, config.version):
                beyond[rule.name] = instead(rule.name) or f"it is {finding.found}"
            elif recommended or finding.severity != "recommended":
                wanted.setdefault(rule.name, (finding, rule))
    arch = profile(meant[0].profile).arch if meant else config.arch
    settings = _settled(wanted, config, Kernel(config.version, arch))
    return Mend(tuple(one.profile for one in meant), settings, beyond)


def as_text(mended: Mend, config: KernelConfig) -> str:
    """A fragment for a reader: what it is for, how to use it, then each option under its reason."""
    blocks = ["\n".join(f"# {line}".rstrip() for line in _header(mended, config))]
    if mended.beyond:
        lines = [f"#   {name}: {text}" for name, text in mended.beyond.items()]
        blocks.append("\n".join(["# What no option of this kernel can mend:", *lines]))
    for reason, settings in groupby(mended.settings, key=lambda one: one.reason):
        blocks.append("\n".join([f"# {reason}", *map(_line, settings)]))
    return "\n\n".join(blocks) + "\n"


def _settled(wanted: Wanted, config: KernelConfig, kernel: Kernel) -> tuple[Setting, ...]:
    """All settings; of those for the same option the first, before which all that it needs stands."""
    settings: dict[str, Setting] = {}
    for option in wanted:
        for setting in _mended(option, wanted, config, kernel):
            settings.setdefault(setting.option, setting)
    return tuple(settings.values())


def _mended(option: str, wanted: Wanted, config: KernelConfig, kernel: Kernel) -> Iterator[Setting]:
    """The settings that mend a finding, what it needs first."""
    finding, rule = wanted[option]
    rivals = choice(option, kernel)
    if rule.wanted == "n" and rivals:
        # One of a choice goes only where another takes its place.
        chosen = next((one for one in rivals if one in wanted and wanted[one][1].wanted == "y"), rivals[0])
        yield from _switched_on(chosen, f"In place of {option}: {_comment(finding.why)}", wanted, config, kernel)
    elif rule.wanted == "n":
        yield Setting(option, "n", _comment(finding.why))
    else:
        yield from _switched_on(option, _comment(finding.why), wanted, config, kernel)


def _switched_on(option: str, reason: str, wanted: Wanted, config: KernelConfig, kernel: Kernel) -> Iterator[Setting]:
    """An option's setting after those of all that it needs, and before those of the rivals that it excludes."""
    rule = wanted[option][1] if option in wanted else None
    needed = needs(option, kernel)
    value = _value(rule, needed, config)
    for need in needed:
        if config.value(need) != "y" and not (value == "m" and config.value(need) == "m"):
            why = _comment(wanted[need][0].why) if need in wanted else f"Needed by {option}"
            yield from _switched_on(need, why, wanted, config, kernel)
    for other in excluded_by(option, kernel):
        yield Setting(other, "n", f"Excluded by {option}")
    # A number or a text gets its default from the kernel as soon as what it needs is on.
    if value != "set":
        yield Setting(option, value, reason)
    for rival in choice(option, kernel):
        if rival != option:
            yield Setting(rival, "n", f"Excluded by {option}")


def _value(rule: Rule | None, needed: tuple[str, ...], config: KernelConfig) -> str:
    """ "y", but for a driver that is not needed early and hangs on a module: that can only be one too."""
    if rule is None or rule.wanted == "y":
        return "y"
    if rule.wanted != "y-or-m":
        return rule.wanted
    hangs_on_module = not rule.early and any(config.value(need) == "m" for need in needed)
    return "m" if hangs_on_module and config.value("MODULES") == "y" else "y"


def _is_same_source(arch: str, name: str) -> bool:
    """Whether a config's architecture is the profile's, or one option away from it: 64BIT on x86."""
    x86 = ("i386", "x86_64")
    return arch == profile(name).arch or (arch in x86 and profile(name).arch in x86)


def _line(setting: Setting) -> str:
    name = f"CONFIG_{setting.option}"
    return f"# {name} is not set" if setting.value == "n" else f"{name}={setting.value}"


def _comment(text: str) -> str:
    """A text as merge_config.sh does not take it for a setting."""
    return text.replace("CONFIG_", "")


def _header(mended: Mend, config: KernelConfig) -> Iterator[str]:
    version = ".".join(map(str, config.version)) if config.version else "of unknown version (today's names are used)"
    start = ", to start as" if mended.profiles else "; it is fit as it is."
    yield f"Options for Linux {version}, made by `ami-wizard audit --fragment`{start}"
    yield from (f"  {profile(name).title} ({name})" for name in mended.profiles)
    if mended.settings:
        yield "In the kernel's source tree, with your config there as .config, run:"
        yield f"  {_command(config)}"
    else:
        yield "There is no option to set."
    if not config.complete:
        yield "Only a part of the config could be read: there may be more to mend in the rest."


def _command(config: KernelConfig) -> str:
    if config.version and config.version < HAS_OLDDEFCONFIG:
        return "cat FRAGMENT >> .config && make oldconfig"
    arch = " ARCH=arm64" if config.arch == "arm64" else ""
    return f"scripts/kconfig/merge_config.sh -m .config FRAGMENT && make{arch} olddefconfig"
