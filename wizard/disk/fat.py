"""FAT, for the EFI system partition: mtools write straight at an offset of the image.

It has no owners, modes or links: folders and plain files are all that is taken along.
"""

import shlex

from wizard.disk.making import IMAGE, Job

TOOLS = ("mformat", "mmd", "mcopy")

SMALLEST_FAT32_MIB = 33
"""With fewer clusters it would be FAT16 to its readers (Microsoft's FAT specification: 65,525)."""


def commands(job: Job) -> list[str]:
    """Makes the file system from its folder, in sorted order, as directory entries lie in the order of their coming."""
    size = job.part.size_mib
    kind = "-F " if size is None or size >= SMALLEST_FAT32_MIB else ""
    label = shlex.quote(job.part.label.upper()[:11])
    serial = job.fs_id.replace("-", "")
    at = f"-i {IMAGE}@@{job.offset}"
    return [
        f"mformat {at} {kind}-T $(({job.mib} * 2048)) -H {job.part.start_mib * 2048} -N {serial} -v {label} ::",
        f"find {job.tree} -mindepth 1 -type d -printf '%P\\n' | LC_ALL=C sort | while read -r path; do "
        f'mmd {at} "::$path"; done',
        f"find {job.tree} -type f -printf '%P\\n' | LC_ALL=C sort | while read -r path; do "
        f'mcopy -m {at} "{job.tree}/$path" "::$path"; done',
        f"find {job.tree} -not -type d -not -type f -printf 'FAT cannot hold %p: left out\\n'",
    ]
