"""Swap."""

import shlex

from wizard.disk.making import Job, put_in_place

TOOLS = ("mkswap",)


def commands(job: Job) -> list[str]:
    """Marks the partition as swap.  Only its first page is written."""
    return [
        f'truncate -s "{job.mib}M" {job.alone}',
        f"chmod 600 {job.alone}",
        f"mkswap --uuid {job.fs_id} --label {shlex.quote(job.part.label)} {job.alone} > {job.alone}.said",
        f"rm {job.alone}.said",
        *put_in_place(job),
    ]
