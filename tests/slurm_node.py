"""A SLURM of one node on this machine, in a folder of its own: real daemons, nothing in /etc, ports of its own.

with one_node(folder) as environment: subprocess.run(["sinfo"], env={**os.environ, **environment})
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# Of snakemake: the profile as it is used, on two processors.
ON_ONE_NODE = [*("--profile", "profiles/slurm"), *("--cores", "2", "--max-threads", "2"), "--slurm-no-account"]
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
PROGRAMS = (*DAEMONS, "sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol")

CONF = """
ClusterName=ua3dtalk
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Memory is looked at every second, and a job that takes more than it asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
KillWait=5
MinJobAge=3600
ReturnToService=2
SlurmdTimeout=600
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


class Unavailable(Exception):
    """Why no SLURM can be started here."""


def install() -> None:
    """Bring SLURM's programs from Debian's packages where they are missing and root may."""
    if not _missing():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(f"no SLURM here: apt-get install {' '.join(PACKAGES)}")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "timeout": 300}
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # The packages' own services, where there is an init system, would only stand in the way.
    environment["RUNLEVEL"] = "1"
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
    try:
        if subprocess.run(command, env=environment, **quiet).returncode:
            subprocess.run(["apt-get", "update", "-qq"], **quiet)
            done = subprocess.run(command, env=environment, **quiet)
            if done.returncode:
                raise Unavailable(f"SLURM's packages cannot be installed: {done.stderr.strip()[-200:]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"SLURM's packages cannot be installed: {error}") from error
    if missing := _missing():
        raise Unavailable(f"SLURM's packages came without {', '.join(missing)}")


@contextmanager
def one_node(folder: Path, cpus: int = 2) -> Iterator[dict[str, str]]:
    """Start a SLURM of one node and stop it at the end, with all jobs.

    Args:
        folder: for its state and logs; short, for it holds a socket.
        cpus: that the node says it has; more than the machine's share its own.
    Returns:
        the environment that SLURM's programs and Snakemake need to find it.
    Raises:
        Unavailable: with the reason.
    """
    install()
    environment = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    everything = {**os.environ, **environment}
    try:
        _configure(folder, cpus)
        _write_clients(folder)
        _start_munge(folder)
        start(folder, "slurmctld")
        start(folder, "slurmd")
        _wait_for_node(everything)
        yield environment
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(["scancel", "--user", getpass.getuser()], env=everything, capture_output=True, timeout=20)
        for program in ("slurmd", "slurmctld", "munged"):
            stop(folder, program)


def start(folder: Path, program: str) -> None:
    """Start one of SLURM's daemons, at first or after `stop`."""
    _start([program, "-f", str(folder / "slurm.conf")])


def stop(folder: Path, program: str, kill: bool = False) -> None:
    """End a daemon that `one_node` started, by the process that it wrote down."""
    try:
        process = psutil.Process(int((folder / f"{program}.pid").read_text()))
        if process.name() != program:
            return
        process.kill() if kill else process.terminate()
        process.wait(20)
    except psutil.TimeoutExpired:
        process.kill()
    except (OSError, ValueError, psutil.Error):
        pass


def _missing() -> list[str]:
    return [
        program for program in PROGRAMS if shutil.which(program) is None and not Path("/usr/sbin", program).exists()
    ]


def _configure(folder: Path, cpus: int) -> None:
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # munged asks for a folder that nobody else may write to
    controller_port, node_port = _free_ports(2)
    host = socket.gethostname().split(".")[0]
    conf = CONF.format(
        folder=folder,
        host=host,
        user=getpass.getuser(),
        controller_port=controller_port,
        node_port=node_port,
        cpus=cpus,
        memory=psutil.virtual_memory().total // 2**20 - 1024,
    )
    (folder / "slurm.conf").write_text(conf)
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")


def _write_clients(folder: Path) -> None:
    """Programs that know where this SLURM is; Snakemake's plugin takes SLURM_CONF away from what it starts."""
    (folder / "bin").mkdir()
    for program in (name for name in PROGRAMS if name not in DAEMONS):
        path = folder / "bin" / program
        path.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which(program)} "$@"\n')
        path.chmod(0o755)


def _start_munge(folder: Path) -> None:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    files = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munge.seed"}
    options = [f"--{option}={folder / file}" for option, file in files.items()]
    _start(["munged", "--force", f"--key-file={key}", *options])


def _start(command: list[str]) -> None:
    """Start a daemon; it goes into the background by itself."""
    program = shutil.which(command[0]) or f"/usr/sbin/{command[0]}"
    done = subprocess.run([program, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise Unavailable(f"{command[0]} does not start: {(done.stderr or done.stdout).strip()[-300:]}")


def _wait_for_node(environment: dict[str, str], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
        if "idle" in done.stdout.split():
            return
        time.sleep(0.3)
    raise Unavailable(f"the SLURM node does not come up: {(done.stdout + done.stderr).strip()[-300:]}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
