"""What the files of a bundle are called, in its manifest and in S3.

Source: ec2-ami-tools 1.5, ec2/amitools/bundle.rb.
"""

import re


def part_name(name: str, index: int) -> str:
    """A part, by its place among them from 0; `name` is what they all begin with."""
    return f"{name}.part.{index:02}"


def manifest_name(name: str) -> str:
    """The manifest."""
    return f"{name}.manifest.xml"


def any_name(name: str) -> re.Pattern[str]:
    """What any file of the bundle is called."""
    return re.compile(rf"{re.escape(name)}\.(manifest\.xml|part\.\d{{2,}})")
