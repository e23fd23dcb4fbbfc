"""The machines behind the practice cloud's instances: QEMU, started from what a snapshot really holds."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.cloud.practice import state
from wizard.cloud.practice.state import BLOCK, GIB
from wizard.explain import explain

if TYPE_CHECKING:
    from wizard.boot.lab.machine import Logs
    from wizard.boot.lab.run import Guard
    from wizard.boot.proof.told import Told
    from wizard.plan.actions import Way

CONSOLE = "console.log"
DISK = "disk.img"
CAPTURE = "packets.pcap"

SSH_PORT = 2222
"""Where an instance's ssh server is found, at its public address: 22 would need root."""

LOOKS_EVERY_SECONDS = 0.2

Changed = Callable[[str, Mapping[str, str] | None], object]
"""Is told of an instance's new state, and of the reason if there is one."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to start.

    folder    the instance's; all of its machine lies there
    snapshot  the folder of the root's snapshot, as `state` describes it
    address   of this machine, where its ssh server is to be found
    at_halt   the state that follows when the instance switches itself off
    """

    folder: Path
    snapshot: Path
    volume_gib: int
    way: "Way"
    arch: str
    address: str
    told: "Told"
    at_halt: str


class Machines:
    """Those that run.  Each ends when it is told to, and with this process, however that ends (`guard`)."""

    def __init__(self, guard: "Guard") -> None:
        self._guard = guard
        self._ends: dict[str, threading.Event] = {}

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._ends

    def start(self, instance_id: str, order: Order, changed: Changed) -> None:
        """Starts a machine and returns at once; `changed` is called from a thread of its own until it has ended."""
        end = self._ends[instance_id] = threading.Event()

        def live() -> None:
            try:
                outcome = _run(order, end, self._guard, changed)
            except Exception as error:  # noqa: BLE001  whatever it is, it is why the instance ended
                said = explain(error)
                text = " ".join([said.what, *said.evidence])
                outcome = "terminated", _reason("Server.InternalError", f"the machine could not be started: {text}")
            (order.folder / DISK).unlink(missing_ok=True)
            changed(*outcome)
            del self._ends[instance_id]

        threading.Thread(target=live, name=instance_id, daemon=True).start()

    def end(self, instance_id: str) -> None:
        """Tells a machine to end."""
        if end := self._ends.get(instance_id):
            end.set()


def _run(order: Order, end: threading.Event, guard: "Guard", changed: Changed) -> tuple[str, Mapping[str, str] | None]:
    """A machine's whole life; gives the state that follows, and the reason."""
    from wizard.boot.lab.machine import Logs
    from wizard.boot.lab.run import running

    logs = Logs(order.folder / CONSOLE, order.folder / "firmware.log")
    disk = order.folder / DISK
    put_together(order.snapshot, disk, order.volume_gib)
    command = _command(order, disk, logs)
    if end.is_set():
        return "terminated", None
    with running(command, logs, guard=guard) as machine:
        changed("running", None)
        while not end.wait(LOOKS_EVERY_SECONDS):
            if machine.has_ended() and machine.process.returncode:
                return "terminated", _reason("Server.InternalError", machine.why_it_ended())
            if machine.has_ended():
                return order.at_halt, _reason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
    return "terminated", None


def put_together(snapshot: Path, disk: Path, volume_gib: int) -> None:
    """Writes what a snapshot holds, block by block, into a sparse file of the volume's size."""
    with (snapshot / "blocks").open("rb") as source, disk.open("wb") as file:
        file.truncate(volume_gib * GIB)
        for index in state.contents(snapshot):
            os.pwrite(file.fileno(), os.pread(source.fileno(), BLOCK, index * BLOCK), index * BLOCK)


def _command(order: Order, disk: Path, logs: "Logs") -> list[str]:
    from wizard.boot.lab.accelerator import accelerator
    from wizard.boot.proof.network import network
    from wizard.boot.proof.told import settings
    from wizard.boot.proof.ways import command

    answers = order.folder / "answers.json"
    answers.write_text(json.dumps(settings(order.told)), encoding="utf-8")
    wires = network(
        SSH_PORT, answers, order.folder / "requests.jsonl", order.folder / CAPTURE, ssh_address=order.address
    )
    words = command(order.way, order.arch, disk, disk, logs, wires, accelerator(order.arch))
    # An instance that restarts goes on.  Xen's machine restarts by a crash alone, and would do so for ever.
    return words if order.way == "pv" else [word for word in words if word != "-no-reboot"]


def has_address(folder: Path) -> bool:
    """Whether the instance has taken an address from DHCP."""
    from wizard.boot.proof.network import seen_on

    return seen_on(folder / CAPTURE).got_address


def _reason(code: str, message: str) -> dict[str, str]:
    return {"Code": code, "Message": f"{code}: {message}"}
