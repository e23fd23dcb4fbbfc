"""Miniature distributions: small real packages in signed repositories, made with each family's own tools.

contents   what the packages hold: a userland around busybox that really runs
pacman     Arch's form of package, its keys and its repository
"""
