"""A disk image as the bundle that EC2 reads from S3: packed, encrypted, cut into parts, listed in a signed manifest.

Nothing here speaks to AWS.  `archive` → `stream` → parts; `keys` and `manifest` say how to read them.
"""
