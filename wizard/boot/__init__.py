"""What makes an image start: menu.lst for PV-GRUB, GRUB for BIOS and UEFI."""
