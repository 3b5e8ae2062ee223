"""Train on workers in network namespaces, each a host of its own, and compare every bit.

    sudo python tests/many_machines/in_namespaces.py     # Linux, as root

The scheduler and this client are on a bridge of the machine, each worker in a namespace that has
nothing but its own address. One worker is killed during a round; its shards are read again by the
other. Prints what was compared, and removes the namespaces.
"""

import contextlib
import subprocess
import sys
import threading
import time

import numpy as np

import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.dask.points import point_of

BRIDGE, NETWORK, WORKERS = "fastmlp0", "10.83.7", 3


def run(command):
    """Run a command of the system."""
    subprocess.run(command.split(), check=True)


@contextlib.contextmanager
def namespaces():
    """Make a bridge, and namespaces that are connected to it."""
    names = [f"fastmlp{i}" for i in range(1, WORKERS + 1)]
    try:
        run(f"ip link add {BRIDGE} type bridge")
        run(f"ip address add {NETWORK}.100/24 dev {BRIDGE}")
        run(f"ip link set {BRIDGE} up")
        for i, name in enumerate(names, 1):
            run(f"ip netns add {name}")
            run(f"ip link add v{name} type veth peer name eth0 netns {name}")
            run(f"ip link set v{name} master {BRIDGE} up")
            run(f"ip -n {name} address add {NETWORK}.{i}/24 dev eth0")
            run(f"ip -n {name} link set eth0 up")
            run(f"ip -n {name} link set lo up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name])
        subprocess.run(["ip", "link", "delete", BRIDGE])


def load(shard):
    """Return the samples of a shard."""
    random = np.random.default_rng(shard)
    return random.random((3000, 784), np.float32), random.integers(0, 10, 3000)


def network():
    """Return a new network."""
    return MLP([784, 256, 10], random_state=0)


class Kill(Callback):
    """Kills a process during the third round."""

    def __init__(self, process):
        self.process = process

    def on_epoch_begin(self, epoch, logs=None):
        """Kill it a little later."""
        if epoch == 2:
            threading.Timer(0.15, self.process.kill).start()


def main():
    """Train here, and on the workers with a death."""
    from distributed import Client

    options = {"n_shards": 6, "rounds": 5}
    expected = fastmlp.dask.fit(network(), load, client=False, **options)
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(namespaces())

        def start(*command):
            process = subprocess.Popen(command)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        python, address = [sys.executable, "-m"], f"tcp://{NETWORK}.100:8786"
        host = ["--host", f"{NETWORK}.100", "--no-dashboard"]
        start(*python, "distributed.cli.dask_scheduler", *host)
        workers = [
            start(
                "ip", "netns", "exec", name, *python, "distributed.cli.dask_worker", address,
                "--no-nanny", "--nthreads", "1", "--no-dashboard",
            )
            for name in names
        ]  # fmt: skip
        client = stack.enter_context(Client(address, timeout=60))
        client.wait_for_workers(WORKERS, timeout=60)
        hosts = sorted(worker["host"] for worker in client.scheduler_info()["workers"].values())
        began = time.perf_counter()
        kill = Kill(workers[0])
        found = fastmlp.dask.fit(network(), load, client=client, callbacks=[kill], **options)
        seconds = time.perf_counter() - began
        assert workers[0].poll() is not None, "the worker has not died"
        left = len(client.scheduler_info()["workers"])
    pairs = zip(point_of(expected._state).arrays, point_of(found._state).arrays, strict=True)
    assert all(one.tobytes() == other.tobytes() for one, other in pairs)
    print(f"workers on {', '.join(hosts)}, one killed, {left} left: the same bits, {seconds:.1f} s")


if __name__ == "__main__":
    main()
