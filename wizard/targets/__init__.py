"""What an AMI is made for: region, architecture, virtualization, and the AKI of a paravirtual one."""
