"""`make truth`: what really happens without a kernel option.

Builds small kernels from Debian's linux-source package with one option away at a time, boots each as EC2 would, and
records what came of it in presets/truth/.  Takes hours; goes on where it was stopped.  tests/test_truth.py holds
presets/kernel/ against the record.

    kconfig   a config's text: reading it, changing it, who selects whom
    kernels   source, base configs, builds
    disks     the disks to boot from: a small userland, and Debian's
    cases     what is to be tried, and what cannot be tried here
    trial     one kernel, one boot → what came of it
    record    the table
"""
