"""The README's chart: the time of each system over that of fastmlp."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from measure import figures  # noqa: E402
from tooling import name_threads  # noqa: E402

NAMES = {"numpy": "NumPy", "sklearn": "scikit-learn", "torch": "PyTorch", "jax": "JAX"}
COLOURS = {"numpy": "#0072B2", "sklearn": "#E69F00", "torch": "#D55E00", "jax": "#009E73"}
TICKS = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]


def write_chart(results, systems, threads, path):
    """Draw a panel for each number of threads: bars that start at 1, on a logarithmic scale."""
    plt.rcParams["svg.hashsalt"] = "fastmlp"  # reproducible ids
    peers = [system for system in systems if system in NAMES]
    size = (9.0, 0.6 + 0.42 * len(results) * len(threads))
    figure, axes = plt.subplots(len(threads), 1, figsize=size, sharex=True, squeeze=False)
    for axis, n_threads in zip(axes[:, 0], threads, strict=True):
        for at, (_, seconds) in enumerate(results):
            found = figures(seconds, n_threads)
            for place, peer in enumerate(peers):
                if peer in found:
                    y = at + 0.8 * ((place + 0.5) / len(peers) - 0.5)
                    ratio, height = found[peer][1], 0.8 / len(peers)
                    axis.barh(y, ratio - 1, height, left=1, color=COLOURS[peer])
                    axis.text(max(ratio, 1) * 1.03, y, f"{ratio:.1f}", va="center", fontsize=6)
        names = [f"{list(case.layers)}, {case.what}" for case, _ in results]
        axis.set_yticks(range(len(results)), names, fontsize=8)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axis.minorticks_off()
        axis.axvline(1, color="black", linewidth=1)
        axis.set_title(name_threads(n_threads).capitalize(), fontsize=9, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("time relative to fastmlp (logarithmic)", fontsize=8)
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[peer]) for peer in peers]
    labels = [NAMES[peer] for peer in peers]
    figure.legend(handles, labels, loc="upper right", ncols=len(peers), fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
