"""Reads disk images as files: the partition table, the file systems, and the files in them.

Nothing is mounted, nothing is written, and no root is needed.  An image may have been made to do harm: every
structure is checked before it is followed, and `source.Work` bounds what all of it may cost.
"""

from wizard.disk.read.disk import Disk, Partition, open_image
from wizard.disk.read.root import Root, root_of
from wizard.disk.read.source import Unreadable
from wizard.disk.read.superblock import FileSystem
from wizard.disk.read.tree import Node, Tree

__all__ = ["Disk", "FileSystem", "Node", "Partition", "Root", "Tree", "Unreadable", "open_image", "root_of"]
