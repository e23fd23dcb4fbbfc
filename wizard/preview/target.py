"""What the answers about the target cause."""

import textwrap
from collections.abc import Iterator

from wizard import questions
from wizard.kernel.profiles import profile
from wizard.plan.defaults import choices
from wizard.preview.disk import layout_of
from wizard.preview.lines import facts, shortened
from wizard.questions import Answers
from wizard.recipe import Recipe, Target
from wizard.targets import akis, instances, live
from wizard.targets.pvgrub import pvgrub
from wizard.targets.target import Consequences, register_fields, runs_on


def target(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Target screen.  Raises Failure for answers that do not go together."""
    where = questions.target_of(answers)
    layout = layout_of(answers)
    chosen = choices(Recipe(name="the name from Review", target=where, disk=questions.disk_of(answers)))
    outcome = chosen.consequences
    if outcome.aki:
        yield from _pv_grub(where, outcome.aki, layout.table, width)
    else:
        yield "No AKI is needed"
        yield from textwrap.wrap(
            "An HVM instance starts like a PC: its firmware loads GRUB from the disk, and GRUB loads the kernel. "
            "AKIs are for paravirtual AMIs, whose disk no firmware ever reads.",
            width,
        )
    yield ""
    yield "What can run it"
    yield from _runs_on(where, outcome, width)
    yield ""
    yield "What follows"
    yield from facts(
        [
            *([("root disk", ON_THE_HOST.format(most=instances.most_s3_gib()))] if where.storage == "s3" else []),
            ("root device", f"{outcome.root_device_name}, seen inside as {_seen_as(outcome)}"),
            ("console", f"{outcome.console}, which EC2 records"),
            ("kernel audit", f"{outcome.audit_profile}: {profile(outcome.audit_profile).title}"),
        ],
        width,
    )
    yield ""
    yield "RegisterImage will be told"
    yield from facts([(name, str(text)) for name, text in register_fields(where, outcome).items()], width)


ON_THE_HOST = "of the host machine, at most {most} GiB, filled from S3 at each launch; it cannot be stopped, only ended"
"""What an instance of an S3-backed AMI starts from.  Source: presets/instances.toml, [instance_store]."""


def _pv_grub(where: Target, aki: str, table: str, width: int) -> Iterator[str]:
    """What the AKI is, and what its version of PV-GRUB asks of the disk and the kernel."""
    row = akis.named(aki, live.listed(where.region))
    if row is None:
        return
    able = pvgrub(row.version)
    yield f"{aki} is PV-GRUB {row.version}, {row.device}"
    yield from textwrap.wrap(
        "The kernel that the AMI names: a small boot loader of Amazon's. It reads menu.lst and then your kernel from "
        "your disk.",
        width,
    )
    names = {"none": "bare disks", "dos": "MBR", "gpt": "GPT"}
    reason = akis.why_not(row, where.region, where.arch, table, live.marks(where.region))
    tables = ", ".join(names[table] for table in able.tables(row.device))
    yield from facts(
        [
            ("reads", f"{tables}; /boot on {', '.join(able.filesystems)}"),
            ("kernels", f"packed with {', '.join(able.compressions)}"),
            ("menu.lst", f"looked for in {', '.join(able.menu_lst)}"),
            ("this id", f"in {row.confidence} independent list{'s' * (row.confidence > 1)}; {_by_aws(row)}"),
            *([("but", reason)] if reason else []),
        ],
        width,
    )


def _by_aws(row: akis.Aki) -> str:
    answer = live.last(row.region)
    return f"{live.compared(answer)[row.aki]} by AWS on {answer.day}" if answer else "AWS was not asked"


def _seen_as(outcome: Consequences) -> str:
    return outcome.disk if outcome.aki else f"{outcome.disk}, on Xen-based types as xvda"


def _runs_on(where: Target, outcome: Consequences, width: int) -> Iterator[str]:
    found = runs_on(where, outcome)
    rows = []
    for generation, words in (("current", "types of today"), ("previous", "previous generation")):
        names = instances.names(row for row in found if row.generation == generation)
        rows.append((words, shortened(names) or "none"))
    if where.virtualization == "paravirtual":
        if doubt := instances.doubt_about(where.region):
            rows.append(("not sure", doubt))
        rows.append(("regions", ", ".join(akis.regions_for(where.arch))))
        rows.append(("for anything newer", "choose hvm: GRUB on the disk in place of an AKI, ttyS0 in place of hvc0"))
    else:
        uefi = [row for row in found if row.nitro_tpm] if outcome.boot_mode == "uefi" else []
        tpm = f"on {len(instances.names(uefi))} families" if uefi else "needs the boot mode uefi"
        rows += [("NitroTPM", tpm), ("IMDSv2", "required at launch (ImdsSupport v2.0)")]
    yield from facts(rows, width)
