"""How long many pictures take on a cluster, and what they wait for: a discrete-event simulation.

    python tests/cluster_plan.py                                      # the plan in srspace/batch/README.md
    python tests/cluster_plan.py --pictures 100 --gpus 1 --cores 2 --compute 3.376 --code 0.05 --start 0.2

A picture is fetched from shared storage, decoded by a core, computed by a GPU, encoded by a core, and sent to the
storage, where all share one bandwidth. Ray hands out groups of pictures, one after the other. A worker has a bounded
number of pictures on their way, as the local pipeline has.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass

import simpy

AHEAD = 8
"""Pictures on their way in a worker, beside the one that is computed."""

MOST = 40_000
"""Pictures that are simulated; more only repeat the steady state."""


@dataclass(frozen=True)
class Costs:
    """What a picture takes.

    Attributes:
        compute: seconds of a GPU.
        code: seconds of a core, half before and half after.
        read: bytes fetched.
        written: bytes sent.
        task: seconds of the driver for a group.
        group: pictures in a group.
        start: seconds until a worker has its weights.
        spread: of the seconds, as a share of them.
    """

    compute: float = 0.57
    code: float = 3.6
    read: float = 1.5e6
    written: float = 25e6
    task: float = 0.01
    group: int = 16
    start: float = 30.0
    spread: float = 0.2


@dataclass(frozen=True)
class Machines:
    """What there is.

    Attributes:
        gpus: workers.
        cores: of each worker.
        bandwidth: bytes a second of the storage, for all.
    """

    gpus: int
    cores: int = 16
    bandwidth: float = 10e9


def simulate(pictures: int, costs: Costs, machines: Machines, seed: int = 0) -> tuple[float, dict[str, float]]:
    """Seconds until all are written, and how busy each part was, from 0 to 1."""
    env, rng = simpy.Environment(), random.Random(seed)
    count = min(pictures, max(MOST, 60 * machines.gpus))
    driver, storage = simpy.Resource(env), simpy.Resource(env)
    busy = dict.fromkeys(("driver", "storage", "gpus", "cores"), 0.0)
    left = [count]
    began: list[float] = []

    def use(name: str, resource: simpy.Resource, seconds: float) -> Iterator[simpy.Event]:
        with resource.request() as turn:
            yield turn
            yield env.timeout(seconds)
            busy[name] += seconds

    def varied(seconds: float) -> float:
        return max(0.0, rng.gauss(seconds, costs.spread * seconds))

    def picture(gpu: simpy.Resource, cores: simpy.Resource, room: simpy.Resource) -> Iterator[simpy.Event]:
        with room.request() as turn:
            yield turn
            yield from use("storage", storage, costs.read / machines.bandwidth)
            yield from use("cores", cores, varied(costs.code / 2))
            yield from use("gpus", gpu, varied(costs.compute))
            yield from use("cores", cores, varied(costs.code / 2))
            yield from use("storage", storage, costs.written / machines.bandwidth)

    def worker() -> Iterator[simpy.Event]:
        gpu, cores = simpy.Resource(env), simpy.Resource(env, machines.cores)
        room = simpy.Resource(env, AHEAD + 1)
        yield env.timeout(varied(costs.start))
        began.append(env.now)
        under_way: list[simpy.Process] = []
        while left[0]:
            mine = min(costs.group, left[0])
            left[0] -= mine
            yield from use("driver", driver, costs.task)
            under_way += [env.process(picture(gpu, cores, room)) for _ in range(mine)]
            # Ray Data has the next group ready while one is computed.
            while sum(p.is_alive for p in under_way) > costs.group:
                yield simpy.AnyOf(env, [p for p in under_way if p.is_alive])
            under_way = [p for p in under_way if p.is_alive]
        yield simpy.AllOf(env, under_way)

    workers = [env.process(worker()) for _ in range(machines.gpus)]
    env.run(simpy.AllOf(env, workers))
    first = min(began)
    steady = env.now - first
    shares = {"driver": 1, "storage": 1, "gpus": machines.gpus, "cores": machines.gpus * machines.cores}
    return first + steady * pictures / count, {name: busy[name] / shares[name] / steady for name in busy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--cores", type=int, default=Machines.cores)
    parser.add_argument("--bandwidth", type=float, default=Machines.bandwidth)
    for name in ("compute", "code", "read", "written", "task", "start"):
        parser.add_argument(f"--{name}", type=float, default=getattr(Costs, name))
    told = parser.parse_args()
    costs = Costs(told.compute, told.code, told.read, told.written, told.task, start=told.start)
    for gpus in told.gpus:
        seconds, busy = simulate(told.pictures, costs, Machines(gpus, told.cores, told.bandwidth))
        parts = ", ".join(f"{name} {share:.0%}" for name, share in busy.items())
        print(f"{gpus:4} GPUs: {seconds:10.0f} s = {seconds / 3600:.2f} h; busy: {parts}")


if __name__ == "__main__":
    main()
