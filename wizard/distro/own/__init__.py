"""A userland that the user made, by whatever means: a folder, a tar archive, an image for containers."""
