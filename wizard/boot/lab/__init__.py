"""Boots an image on this machine the way EC2 would: as a paravirtual guest of Xen, or on an NVMe disk.

bundle   the Xen machine's parts, made from Debian's packages
machine  QEMU's command lines
watch    console text → did it come up, and why not
run      starts a machine, follows its consoles, ends it
"""
