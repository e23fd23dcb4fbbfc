"""What is in a disk image, and what is wrong with it."""
