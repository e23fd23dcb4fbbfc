"""The step that launches an instance of the AMI, and what it takes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wizard import presets
from wizard.boot.proof import login
from wizard.boot.proof.ways import tools
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, CheckLaunch, LaunchInstance, Way
from wizard.plan.defaults import Choices
from wizard.plan.steps import Step
from wizard.recipe import Launch, Recipe, Target
from wizard.targets import instances, target
from wizard.targets.target import UNKNOWN_KERNEL, Abilities, Consequences

USER = "root"
"""Who our images let in by key, whatever the distribution: cloud-init is told so too (wizard/distro/settings.py)."""

TAGGED = {"ebs": ("instance", "volume"), "s3": ("instance",)}
"""What RunInstances makes that costs, by the AMI's storage."""


def launch_checks(recipe: Recipe, chosen: Choices, able: Abilities, build: str) -> tuple[CheckLaunch, ...]:
    """What is asked before the long work; nothing where no instance is launched."""
    if recipe.launch is None:
        return ()
    return (CheckLaunch(recipe.target.region, run_parameters(recipe, recipe.launch, chosen, able, build)),)


def launch_steps(recipe: Recipe, chosen: Choices, able: Abilities, build: str) -> list[Step]:
    """The step, where an instance is launched; `build` is what BUILD_TAG says."""
    wanted = recipe.launch
    if wanted is None:
        return []
    action = LaunchInstance(
        recipe.target.region,
        "register/image-id",
        "launch",
        run_parameters(recipe, wanted, chosen, able, build),
        build,
        wanted.keep,
        wanted.wait_seconds,
        USER,
        key_in_words(recipe),
    )
    then = "It is kept." if wanted.keep else "Then it is terminated again."
    return [
        Step(
            "launch",
            "Launch an instance of the AMI",
            "Whether an AMI starts on EC2 is known once it has: an instance is run, its console is read and explained, "
            f"and you are told how to log in. {then}",
            (action,),
            ("register",),
            {"build": build},
            # Whether it still runs is to be looked at with every start.
            kept=not wanted.keep,
        )
    ]


SEEN_BY_OTHERS = ("share", "deprecate", "protect", "parameter")
"""Steps behind the registration that others notice."""


def with_launch(steps: Sequence[Step], launch: Sequence[Step]) -> list[Step]:
    """The steps to the AMI and behind it, with the launch between.

    What others see of the AMI waits until it is known to start; copies are on their way meanwhile.
    """
    if not launch:
        return list(steps)
    behind = next(place for place, step in enumerate(steps) if step.id == "register") + 1
    waiting = tuple(step.id for step in launch)
    last = [
        replace(step, after=(*step.after, *waiting)) if step.id in SEEN_BY_OTHERS else step for step in steps[behind:]
    ]
    return [*steps[:behind], *launch, *last]


def run_parameters(recipe: Recipe, wanted: Launch, chosen: Choices, able: Abilities, build: str) -> dict[str, Any]:
    """RunInstances' parameters; `<image>` stands for the image's id.  Raises Failure "no-instance-type".

    Whatever ends the instance from inside terminates it too, so that nothing is left that costs; an S3-backed one
    cannot be stopped anyway.
    """
    where = recipe.target
    kind = wanted.instance_type or default_type(where, chosen.consequences, able)
    if kind is None:
        raise Failure("no-instance-type", arch=where.arch, region=where.region)
    tags = [{"Key": "Name", "Value": recipe.name}, {"Key": BUILD_TAG, "Value": build}]
    at_halt = {"InstanceInitiatedShutdownBehavior": "terminate"} if where.storage == "ebs" else {}
    return {
        "ImageId": "<image>",
        "InstanceType": kind,
        "MinCount": 1,
        "MaxCount": 1,
        **({"KeyName": wanted.key_name} if wanted.key_name else {}),
        **({"SubnetId": wanted.subnet} if wanted.subnet else {}),
        **({"SecurityGroupIds": [wanted.security_group]} if wanted.security_group else {}),
        **at_halt,
        "TagSpecifications": [{"ResourceType": made, "Tags": tags} for made in TAGGED[where.storage]],
    }


def default_type(where: Target, outcome: Consequences, able: Abilities = UNKNOWN_KERNEL) -> str | None:
    """The cheapest type with a price (presets/prices.toml) that starts such an AMI there; None when none does.

    Types that require ENA refuse an AMI that is registered without it.
    """
    rows = target.runs_on(where, outcome)
    fitting = [row for row in rows if row.ena != "required" or able.ena is not False]
    prices = presets.load("prices")["instance_hour"]
    return next((name for name in sorted(prices, key=prices.__getitem__) if instances.is_among(name, fitting)), None)


def way_of(virtualization: str, arch: str, boot_mode: str | None, kind: str) -> Way:
    """How an instance of that type starts an AMI, whose `boot_mode` is None where none was registered.

    A type that knows legacy BIOS alone starts by that whatever the AMI says: then its firmware finds nothing
    (plus3it/spel#661).  Source of the defaults: presets/instances.toml, BootMode.
    """
    if virtualization == "paravirtual":
        return "pv"
    row = instances.of_type(kind)
    wants_uefi = arch == "arm64" or boot_mode in ("uefi", "uefi-preferred")
    return "uefi" if wants_uefi and row and "uefi" in row.boot_modes else "bios"


def tools_to_practise(recipe: Recipe, chosen: Choices, able: Abilities) -> list[str]:
    """The host's tools with which the practice cloud starts this recipe's instance; none without a launch.

    Raises Failure "practice-cannot-launch".
    """
    if recipe.launch is None:
        return []
    where = recipe.target
    kind = run_parameters(recipe, recipe.launch, chosen, able, "")["InstanceType"]
    way = way_of(where.virtualization, where.arch, chosen.consequences.boot_mode, kind)
    if reason := not_here(where.storage, way, where.arch):
        raise Failure("practice-cannot-launch", reason=reason)
    return programs(way, where.arch)


def not_here(storage: str, way: Way, arch: str) -> str | None:
    """Why no machine of ours can start such an AMI, as words behind a colon; None when one can."""
    if storage == "s3":
        return "it is made from a bundle in S3, which only EC2 has the key to"
    if way == "pv" and arch == "i386":
        return "it is paravirtual, of 32 bits, for which the Xen of Debian 12 is not built (PV32)"
    return None


def programs(way: Way, arch: str) -> list[str]:
    """The host's tools that starting a machine takes; a proof takes some more, to log in."""
    return [name for name in tools([way], arch) if name not in ("qemu-img", *login.TOOLS)]


def key_in_words(recipe: Recipe) -> str:
    """Whose private key lets one in; "" where nobody's does."""
    if recipe.launch and recipe.launch.key_name:
        return f"the key pair {recipe.launch.key_name}"
    return "system.ssh_authorized_keys in the recipe" if recipe.system.ssh_authorized_keys else ""


def login_line(address: str, key: str, user: str = USER, port: int | None = None) -> str:
    """How to log in: a command, and what KEY-FILE in it is."""
    if not key:
        return "nobody can: it has neither a key pair (key_name) nor a key of the recipe (system.ssh_authorized_keys)"
    at = f"-p {port} " if port else ""
    return f"ssh -i KEY-FILE {at}{user}@{address} (KEY-FILE: the private key of {key})"
