"""A real SLURM of several virtual nodes on this machine, for tests, benchmarks and `make
slurm-demo`: munged, slurmctld and one slurmd per node, all bound to 127.0.0.1 and ended by number.
Needs root and the Debian packages ``slurm-wlm`` and ``munge`` (SLURM built with multiple-slurmd
support). Each node has fake GPUs, so that what a job is given can be tested; no accounting is kept.
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
NodeName=node[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory=64000 Gres=gpu:{gpus}
PartitionName=main Nodes=ALL Default=YES MaxTime=240 PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=240 PriorityTier=10
"""
"""Credentials expire after 5 s, the least SLURM takes: a requeued job must wait until its old one
has. Partition urgent preempts main."""


def missing() -> str | None:
    """Why no SLURM can be started here, installing the packages if that is possible; None if it
    can."""
    if os.geteuid() != 0:
        return "starting SLURM needs root"
    if not all(map(shutil.which, DAEMONS)):
        if shutil.which("apt-get") is None:
            return f"SLURM is not installed ({', '.join(PACKAGES)})"
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        }
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["apt-get", "update"], timeout=120, **quiet)
            subprocess.run(
                [
                    "apt-get",
                    "install",
                    "-y",
                    "-o",
                    "DPkg::Lock::Timeout=120",
                    "--no-install-recommends",
                    *PACKAGES,
                ],
                timeout=400,
                **quiet,
            )
    absent = [name for name in DAEMONS if shutil.which(name) is None]
    return f"{', '.join(absent)} could not be installed" if absent else None


@contextlib.contextmanager
def running(
    folder: Path, nodes: int = 4, gpus: int = 2, cpus: int = 2, max_array: int = 1001
) -> Iterator[dict[str, str]]:
    """Start a SLURM below ``folder`` and end it; yields the environment variables that its commands
    need."""
    try:
        yield up(folder, nodes, gpus, cpus, max_array)
    finally:
        down(folder)


def up(
    folder: Path, nodes: int = 4, gpus: int = 2, cpus: int = 2, max_array: int = 1001
) -> dict[str, str]:
    """Start every daemon and wait until the nodes are idle. Raises :class:`UserError` where that
    cannot be done."""
    reason = missing()
    if reason is not None:
        raise UserError(f"no SLURM here: {reason}")
    box, host, conf = (
        folder.absolute(),
        socket.gethostname().partition(".")[0],
        folder.absolute() / "etc" / "slurm.conf",
    )
    for name in (
        "etc",
        "state",
        "log",
        "run",
        "dev",
        "munge",
        *(f"spool/node{n}" for n in range(1, nodes + 1)),
    ):
        (box / name).mkdir(parents=True, exist_ok=True)
    (box / "munge").chmod(0o700)
    for n in range(1, nodes + 1):
        for g in range(gpus):
            if not (box / "dev" / f"n{n}g{g}").exists():
                os.mknod(box / "dev" / f"n{n}g{g}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (box / "etc" / "gres.conf").write_text(
        "".join(
            f"NodeName=node{n} Name=gpu File={box}/dev/n{n}g[0-{gpus - 1}]\n"
            for n in range(1, nodes + 1)
        )
    )
    key = box / "munge" / "key"
    if not key.exists():
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
    port = _free_ports(nodes + 1)
    conf.write_text(
        CONF.format(
            host=host,
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
    environment = {"SLURM_CONF": str(conf)}
    whole = {**os.environ, **environment}
    run = box / "run"
    subprocess.run(
        [
            "munged",
            "--force",
            f"--key-file={key}",
            f"--socket={run}/munge.sock",
            f"--pid-file={run}/munged.pid",
            f"--log-file={box}/log/munged.log",
            f"--seed-file={box}/munge/seed",
        ],
        check=True,
        capture_output=True,
    )
    subprocess.run(["slurmctld", "-c", "-f", str(conf)], check=True, capture_output=True, env=whole)
    for n in range(1, nodes + 1):
        subprocess.run(
            ["slurmd", "-N", f"node{n}", "-f", str(conf)],
            check=True,
            capture_output=True,
            env=whole,
        )
    for _ in range(100):
        idle = subprocess.run(
            ["sinfo", "-h", "-p", "main", "-o", "%D", "-t", "idle"],
            capture_output=True,
            text=True,
            env=whole,
            timeout=30,
        )
        if idle.stdout.strip() == str(nodes):
            return environment
        time.sleep(0.1)
    log = (box / "log" / "slurmctld.log").read_text().splitlines()[-3:]
    raise UserError(f"SLURM did not come up: {' / '.join(log)}")


def down(folder: Path) -> None:
    """Cancel every job and end the daemons, by the numbers they wrote down."""
    run = folder.absolute() / "run"
    whole = {**os.environ, "SLURM_CONF": str(folder.absolute() / "etc" / "slurm.conf")}
    numbers = [
        int(path.read_text())
        for path in (*run.glob("slurmd.*.pid"), *run.glob("slurmctld.pid"), *run.glob("munged.pid"))
    ]
    if not numbers:
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["scancel", "-u", "root", "--signal=KILL"], env=whole, capture_output=True, timeout=5
        )
        subprocess.run(["scancel", "-u", "root"], env=whole, capture_output=True, timeout=5)
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
    end = time.monotonic() + 10
    while any(Path(f"/proc/{number}").exists() for number in numbers) and time.monotonic() < end:
        time.sleep(0.05)
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    for path in run.glob("*.pid"):
        path.unlink(missing_ok=True)


def _free_ports(count: int) -> int:
    """The first of ``count`` consecutive free ports of 127.0.0.1."""
    for first in range(26817, 60000, count):
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise UserError("no free ports on 127.0.0.1")


if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        print("\n".join(f"export {name}={value}" for name, value in up(Path(sys.argv[2])).items()))
    else:
        down(Path(sys.argv[2]))
