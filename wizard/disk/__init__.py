"""Layouts, partition tables, file systems, the image file."""
