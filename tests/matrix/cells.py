"""What there is to boot."""

from dataclasses import dataclass

from wizard.disk.layout import Layout, layouts


@dataclass(frozen=True, slots=True)
class Cell:
    """One boot: `way` is "pv", "bios" or "uefi"."""

    layout: str
    virtualization: str
    way: str

    @property
    def name(self) -> str:
        return f"{self.layout} {self.way}"


def cells() -> list[Cell]:
    """All of them, those without swap first; the ways of one image one after the other."""
    found = [
        Cell(layout.name, virtualization, way)
        for layout in layouts()
        for virtualization in layout.virtualization
        for way in ways(layout, virtualization)
    ]
    return sorted(found, key=lambda cell: (cell.layout.endswith("-swap"), cell.layout, cell.virtualization, cell.way))


def ways(layout: Layout, virtualization: str) -> list[str]:
    """How such a disk can be started."""
    if virtualization == "paravirtual":
        return ["pv"]
    return ["bios", "uefi"] if "uefi" in layout.boot_modes else ["bios"]
