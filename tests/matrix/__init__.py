"""`make matrix`: every layout, virtualization and boot mode of Debian on x86_64, built, and booted as EC2 would.

Writes docs/MATRIX.md.  Takes about an hour; goes on where it was stopped; outside CI, where tests/test_boot.py boots a
few that together have every file system, table and loader.

    cells     what there is to boot
    trial     one image built, one image booted
    table     the results as a page
"""
