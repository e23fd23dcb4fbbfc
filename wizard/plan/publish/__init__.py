"""What becomes of a registered AMI: copied to other regions, shared, deprecated, protected, named by a parameter."""
