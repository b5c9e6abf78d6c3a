"""A private Slurm cluster on the loopback device: munged, slurmctld and two slurmd in one folder, as this user,
without touching the machine's own configuration. What it starts it knows by process id and stops."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

CONFIGURATION = """\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobRequeue=1
RequeueExit=99
MaxArraySize={max_array}
MinJobAge=600
KillWait=2
SlurmdTimeout={timeout}
SlurmctldTimeout=10
MessageTimeout=2
NodeName=n1 NodeHostname=n1 NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=n2 NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs():
    return [name for name in DAEMONS + CLIENTS if shutil.which(name, path=SEARCH) is None]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def die_with_parent():
    """A daemon goes when the test is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def wait_for(what, condition, seconds):
    """The first true value of condition(); AssertionError naming `what` when it takes longer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"after {seconds} s: {what}")


class Cluster:
    """Nodes n1 and n2 with two processors each. A node that does not answer for `timeout` seconds is down."""

    def __init__(self, folder, timeout=5, max_array=4):
        self.folder = Path(folder)
        self.daemons = {}
        self.environment = dict(os.environ, PATH=SEARCH, SLURM_CONF=str(self.folder / "slurm.conf"))
        for name in ("munge", "state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o755)
        (self.folder / "munge/key").write_bytes(os.urandom(1024))
        (self.folder / "munge/key").chmod(0o400)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], user=pwd.getpwuid(os.getuid()).pw_name,
            folder=self.folder, ports=free_ports(3), timeout=timeout, max_array=max_array))

    def start(self):
        munge = self.folder / "munge"
        self.spawn("munged", "munged", "--foreground", "--force", f"--key-file={munge}/key", f"--socket={munge}/sock",
                   f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
                   "--num-threads=1")
        wait_for("munged has no socket", (munge / "sock").exists, 10)
        self.start_controller()
        for node in ("n1", "n2"):
            self.start_node(node)
        self.wait_idle("n1", "n2")

    def spawn(self, name, *command):
        with open(self.folder / f"{name}.out", "ab") as out:
            self.daemons[name] = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                                  env=self.environment, preexec_fn=die_with_parent,
                                                  start_new_session=True)

    def start_controller(self):
        self.spawn("slurmctld", "slurmctld", "-D")
        wait_for("slurmctld does not answer", lambda: self.run("scontrol", "ping").returncode == 0, 20)

    def start_node(self, node):
        self.spawn(node, "slurmd", "-D", "-N", node)

    def wait_idle(self, *nodes):
        wait_for(f"nodes {nodes} are not idle", lambda: all(self.node_state(n) == "idle" for n in nodes), 40)

    def node_state(self, node):
        return self.run("sinfo", "-h", "-N", "-n", node, "-o", "%T").stdout.strip()

    def run(self, *command, **more):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, **more)

    def kill(self, name):
        self.daemons[name].kill()
        self.daemons.pop(name).wait()

    def freeze(self, node):
        """The node, its slurmd and its tasks do nothing more and say nothing more."""
        self.daemons[node].send_signal(signal.SIGSTOP)

        def all_stopped():  # a step may fork while it is being looked for
            self.signal_steps(signal.SIGSTOP, node)
            return all(self.is_stopped(process) for process in self.processes(node))

        wait_for(f"processes of {node} do not stop", all_stopped, 10)

    def thaw(self, node):
        self.signal_steps(signal.SIGCONT, node)
        self.daemons[node].send_signal(signal.SIGCONT)

    def lose(self, node):
        """The node is gone, without a last word from any of its processes."""
        self.freeze(node)
        self.kill(node)
        self.signal_steps(signal.SIGKILL, node)

    def processes(self, node=None):
        """Process ids of what runs on a node, or on any: those with our configuration and the node's name in their
        environment, and the slurmstepd above each."""
        mark = f"SLURMD_NODENAME={node or ''}".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "environ").read_bytes().split(b"\0")
                if f"SLURM_CONF={self.folder}/slurm.conf".encode() not in words:
                    continue
                is_step = (entry / "comm").read_text().strip() == "slurmstepd"
                if mark in words or node is None and (is_step or any(w.startswith(mark) for w in words)):
                    found.add(int(entry.name))
                    parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                    if Path(f"/proc/{parent}/comm").read_text().strip() == "slurmstepd":
                        found.add(parent)
            except (OSError, ValueError):
                continue  # it has ended
        return found

    def signal_steps(self, number, node=None):
        for process in self.processes(node):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue

    @staticmethod
    def is_stopped(process):
        """True too when it is gone."""
        try:
            return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] in "TtZX"
        except OSError:
            return True

    @staticmethod
    def pending_signals(process):
        """Signals that a stopped process has not seen yet; none when it is gone."""
        try:
            text = Path(f"/proc/{process}/status").read_text()
        except OSError:
            return set()
        pending = sum(int(line.split()[1], 16) for line in text.splitlines() if line.startswith(("SigPnd", "ShdPnd")))
        return {number for number in range(1, 65) if pending >> (number - 1) & 1}

    def jobs(self, fields="%i %t"):
        return [line.split() for line in self.run("squeue", "-h", "-r", "-o", fields).stdout.splitlines()]

    def stop(self):
        for daemon in self.daemons.values():
            daemon.send_signal(signal.SIGCONT)
        self.signal_steps(signal.SIGKILL)
        for name in ("n1", "n2", "slurmctld", "munged"):
            if name in self.daemons:
                self.daemons[name].terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()

    def logs(self):
        """The ends of the daemons' logs, for a failed test."""
        return "\n".join(f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
                         for path in sorted(self.folder.glob("*.log")))
