"""A real SLURM of several virtual nodes on this machine.

For tests, benchmarks and `make slurm-demo`: munged, slurmctld and one slurmd per node, all bound to
127.0.0.1 and ended by process id. Needs root and the Debian packages ``slurm-wlm`` and ``munge``
(SLURM built with multiple-slurmd support). Each node has fake GPUs, so that the GPUs which a job
gets can be tested; there is no accounting.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bfc.errors import UserError

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
CONF = """
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={box}/run/munge.sock,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={box}/state
SlurmdSpoolDir={box}/spool/%n
SlurmctldPidFile={box}/run/slurmctld.pid
SlurmdPidFile={box}/run/slurmd.%n.pid
SlurmctldLogFile={box}/log/slurmctld.log
SlurmdLogFile={box}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=86400
KillWait=5
MaxArraySize={max_array}
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=node[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] \\
  CPUs={cpus} RealMemory=64000 Gres=gpu:{gpus}
PartitionName=main Nodes=ALL Default=YES MaxTime=240 PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=240 PriorityTier=10
"""
"""The configuration of SLURM.

Credentials expire after 5 s, the least that SLURM accepts: a requeued job must wait until its old
credential has expired. Partition urgent preempts main.
"""
MAX_START_SECONDS = 120
MAX_END_SECONDS = 10
"""Until the daemons are idle; until those that ignore SIGTERM are killed."""


def missing() -> str | None:
    """Why no SLURM can be started here; None if it can.

    Installs the packages if that is possible.
    """
    if os.geteuid() != 0:
        return "starting SLURM needs root"
    if not all(map(shutil.which, DAEMONS)):
        if shutil.which("apt-get") is None:
            return f"SLURM is not installed ({', '.join(PACKAGES)})"
        with contextlib.suppress(subprocess.TimeoutExpired):
            _run_apt("update", timeout=120)
            options = ("-y", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends")
            _run_apt("install", *options, *PACKAGES, timeout=400)
    absent = [name for name in DAEMONS if shutil.which(name) is None]
    return f"{', '.join(absent)} could not be installed" if absent else None


def _run_apt(*arguments: str, timeout: float) -> None:
    subprocess.run(
        ["apt-get", *arguments],
        timeout=timeout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )


@contextlib.contextmanager
def running(
    folder: Path, nodes: int = 4, gpus: int = 2, cpus: int = 2, max_array: int = 1001
) -> Iterator[dict[str, str]]:
    """Start a SLURM below ``folder`` and end it with the block.

    Yields the environment variables that its commands need.
    """
    try:
        yield up(folder, nodes, gpus, cpus, max_array)
    finally:
        down(folder)


def up(
    folder: Path, nodes: int = 4, gpus: int = 2, cpus: int = 2, max_array: int = 1001
) -> dict[str, str]:
    """Start every daemon and wait until the nodes are idle.

    Raises :class:`UserError` where that cannot be done.
    """
    reason = missing()
    if reason is not None:
        raise UserError(f"no SLURM here: {reason}")
    box = folder.absolute()
    _make_folders(box, nodes)
    _make_gpus(box, nodes, gpus)
    port = _free_ports(nodes + 1)
    conf = box / "etc" / "slurm.conf"
    conf.write_text(
        CONF.format(
            host=socket.gethostname().partition(".")[0],
            box=box,
            nodes=nodes,
            gpus=gpus,
            cpus=cpus,
            max_array=max_array,
            port=port,
            first=port + 1,
            last=port + nodes,
        )
    )
    variables = {"SLURM_CONF": str(conf)}
    environment = {**os.environ, **variables}
    _start_munged(box)
    _start_daemon(["slurmctld", "-c", "-f", str(conf)], environment)
    for number in range(1, nodes + 1):
        _start_daemon(["slurmd", "-N", f"node{number}", "-f", str(conf)], environment)
    _wait_until_idle(box, nodes, environment)
    return variables


def _make_folders(box: Path, nodes: int) -> None:
    spools = [f"spool/node{number}" for number in range(1, nodes + 1)]
    for name in ("etc", "state", "log", "run", "dev", "munge", *spools):
        (box / name).mkdir(parents=True, exist_ok=True)
    (box / "munge").chmod(0o700)


def _make_gpus(box: Path, nodes: int, gpus: int) -> None:
    """Device files, and the file that says which node has which."""
    lines = []
    for node in range(1, nodes + 1):
        lines.append(f"NodeName=node{node} Name=gpu File={box}/dev/n{node}g[0-{gpus - 1}]\n")
        for gpu in range(gpus):
            device = box / "dev" / f"n{node}g{gpu}"
            if not device.exists():
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (box / "etc" / "gres.conf").write_text("".join(lines))


def _start_munged(box: Path) -> None:
    key = box / "munge" / "key"
    if not key.exists():
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
    options = [
        f"--key-file={key}",
        f"--socket={box}/run/munge.sock",
        f"--pid-file={box}/run/munged.pid",
        f"--log-file={box}/log/munged.log",
        f"--seed-file={box}/munge/seed",
    ]
    _start_daemon(["munged", "--force", *options], dict(os.environ))


def _start_daemon(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, capture_output=True, env=environment)


def _wait_until_idle(box: Path, nodes: int, environment: dict[str, str]) -> None:
    command = ["sinfo", "-h", "-p", "main", "-o", "%D", "-t", "idle"]
    end = time.monotonic() + MAX_START_SECONDS
    while time.monotonic() < end:
        idle = subprocess.run(command, capture_output=True, text=True, env=environment)
        if idle.stdout.strip() == str(nodes):
            return
        time.sleep(0.1)
    log = (box / "log" / "slurmctld.log").read_text().splitlines()[-3:]
    raise UserError(f"SLURM did not come up: {' / '.join(log)}")


def down(folder: Path) -> None:
    """Cancel every job and end the daemons, by the process ids that they wrote."""
    run = folder.absolute() / "run"
    pid_files = [*run.glob("slurmd.*.pid"), *run.glob("slurmctld.pid"), *run.glob("munged.pid")]
    pids = [int(path.read_text()) for path in pid_files]
    if not pids:
        return
    environment = {**os.environ, "SLURM_CONF": str(folder.absolute() / "etc" / "slurm.conf")}
    for command in (["scancel", "-u", "root", "--signal=KILL"], ["scancel", "-u", "root"]):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, env=environment, capture_output=True, timeout=MAX_END_SECONDS)
    _send_signal(pids, signal.SIGTERM)
    if not _wait_until_ended(pids, MAX_END_SECONDS):
        _send_signal(pids, signal.SIGKILL)
        _wait_until_ended(pids, MAX_END_SECONDS)
    for path in run.glob("*.pid"):
        path.unlink(missing_ok=True)


def _send_signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait_until_ended(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() >= end:
            return False
        time.sleep(0.05)
    return True


def _free_ports(count: int) -> int:
    """The first of ``count`` consecutive free ports of 127.0.0.1."""
    for first in range(26817, 60000, count):
        with contextlib.ExitStack() as sockets:
            try:
                for port in range(first, first + count):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise UserError("no free ports on 127.0.0.1")


if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        print("\n".join(f"export {name}={value}" for name, value in up(Path(sys.argv[2])).items()))
    else:
        down(Path(sys.argv[2]))
