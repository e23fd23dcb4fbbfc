"""Userlands: one module a package-manager family."""
