"""The way to a snapshot by a volume, as in 2011: attached to an instance, written there, detached, snapshotted."""
