"""The editor for partitions of one's own: the disk to scale, the partitions in it, the fields of the chosen one."""
