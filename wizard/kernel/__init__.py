"""Kernels: their configs and images, read and audited for EC2."""
