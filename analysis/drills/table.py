"""Which drills there are."""

from analysis.drills.base import Drill
from analysis.drills.crowds import burst_drill, churn, connections
from analysis.drills.ours import control_killed, door_killed, reload, supervisor_killed
from analysis.drills.replicas import FAULTY, fault, freeze, kill, replaced, startup

DRILLS: dict[str, Drill] = {
    "startup": startup,
    "kill": replaced("kill", kill),
    "exit": replaced("exit", fault("exit"), "--server-command", FAULTY, "--unknown-path", "course"),
    "hang": replaced("hang", fault("hang"), "--server-command", FAULTY, "--unknown-path", "course"),
    "freeze": replaced("freeze", freeze),
    "arbiter": control_killed("arbiter", lambda pids: pids[:1]),
    "control-worker": control_killed("control-worker", lambda pids: pids[1:]),
    "control-both": control_killed("control-both", lambda pids: pids),
    "control-and-replica": control_killed("control-and-replica", lambda pids: pids, replica_too=True),
    "door-worker": door_killed,
    "reload": reload,
    "supervisor": supervisor_killed,
    "burst": burst_drill,
    "connections": connections,
    "churn": churn,
}
