"""What is made of a run's figures: the table, the goals with what was reached, the chart, the README."""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from rivals import RIVALS, Ours, Raw

from helpers import build_directory

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- the table of make bench -->", "<!-- end of the table -->"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        model = re.search(r"model name\s*: (.*)", text.read())
    where = subprocess.run(
        ["stat", "-f", "-c", "%T", tempfile.gettempdir()], capture_output=True, text=True, check=True
    ).stdout.strip()  # fmt: skip
    return f"{os.cpu_count()} cores, {model[1].strip() if model else os.uname().machine}, Linux {os.uname().release}, {where}"


def rates(rounds):
    return [r["rate"] for r in rounds]


def spread(rounds):
    low, high = min(rates(rounds)), max(rates(rounds))
    return f"{low:.0f} to {high:.0f}"


def median(run, connections, name):
    rounds = run["peak"].get(str(connections), {}).get(name)
    return statistics.median(rates(rounds)) if rounds else None


def names(run):
    known = [Ours, *RIVALS, Raw]
    seen = {name for of in run["peak"].values() for name in of}
    return [(k.name, k.label) for k in known if k.name in seen]


def table(run):
    """Of Markdown: a row a rival, a column a number of connections."""
    columns = list(run["peak"])
    lines = [
        "| acknowledged a second | " + " | ".join(f"{c} conn." for c in columns) + " | p50, p99 at 64 |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for name, label in names(run):
        cells = []
        for c in columns:
            rounds = run["peak"][c].get(name)
            cells.append(f"{statistics.median(rates(rounds)):.0f} ({spread(rounds)})" if rounds else "-")
        at = run["peak"].get("64", run["peak"][columns[-1]]).get(name, [])
        timed = [r for r in at if "p50" in r]
        times = [statistics.median(r[p] for r in timed) / 1000 for p in ("p50", "p99")] if timed else None
        cells.append(f"{times[0]:.1f} ms, {times[1]:.1f} ms" if times else "")
        bold = "**" if name == Ours.name else ""
        lines.append(f"| {bold}{label}{bold} | " + " | ".join(cells) + " |")
    return lines


def goals(run):
    """(what, figure, goal, reached) each; what was not measured is left out."""
    found = []

    def ratio(connections, name, goal):
        # The median of each round's ratio: what slows a whole round weighs on both.
        of = run["peak"].get(str(connections), {})
        if of.get(name) and of.get(Ours.name):
            pairs = zip(rates(of[Ours.name]), rates(of[name]), strict=False)
            value = statistics.median(a / b for a, b in pairs if b)
            found.append((f"callbackd / {name}, {connections} conn.", f"{value:.2f}", f">= {goal}", value >= goal))

    for name, goal in (("redis", 1.0), ("postgresql", 1.5), ("beanstalkd", 4), ("webhook", 5), ("nginx", 0.35)):
        ratio(64, name, goal)
    ratio(1, Raw.name, 0.5)
    if "open" in run:
        o = run["open"]
        for p, word, goal in (("p50", "p50", 3), ("p99", "p99", 15), ("p999", "p99.9", 50)):
            value = o[p] / 1000
            found.append((f"open loop at {o['offered']:.0f}/s, {word}", f"{value:.2f} ms", f"< {goal} ms", value < goal))
    if "overload" in run:
        o = run["overload"]
        kept = o["rate"] / o["peak"]
        found.append(("twice the peak: share of the peak kept", f"{kept:.2f}", ">= 0.8", kept >= 0.8))
        waited = o["service_max"] / 1e6
        found.append(("twice the peak: longest wait of an accepted one", f"{waited:.2f} s", "< 1 s", waited < 1))
    if "idle" in run:
        i = run["idle"]
        found.append(("idle: RssAnon", f"{i['rss_kib'] / 1024:.2f} MiB", "< 6 MiB", i["rss_kib"] < 6 * 1024))
        found.append(("binary, stripped", f"{i['binary_kib']:.0f} KiB", "< 600 KiB", i["binary_kib"] < 600))
    return found


def goal_lines(run):
    return [f"{what:50} {value:>10}   goal {goal:9} {'reached' if ok else 'NOT REACHED'}" for what, value, goal, ok in goals(run)]


def notes(run):
    o, lines = run.get("open"), []
    failed = sum(r.get("failed", 0) for of in run["peak"].values() for rounds in of.values() for r in rounds)
    lines.append(f"{failed} requests failed in all.")
    if o:
        lines.append(
            f"Open loop: {o['rate']:.0f}/s answered, {o['failed']} failed, {o['unsent']} unsent, {o['pruned']} jobs pruned"
            f" and {o['written'] / 1e6:.0f} MB written meanwhile; longest {o['max'] / 1000:.1f} ms."
        )
    if "overload" in run:
        v = run["overload"]
        lines.append(f"Twice the peak of 2048 connections ({v['offered']:.0f}/s due): {v['rate']:.0f}/s taken,"
            f" {v['shed']:.0f}/s answered 503, {v['unsent']} in all found no connection free, {v['failed']} failed.")
    batches = [
        f"{n} conn. {statistics.median(r['batch'] for r in of[Ours.name]):.1f} callbacks"
        f" in {statistics.median(r['bytes_a_batch'] for r in of[Ours.name]) / 1024:.0f} KiB"
        for n, of in run["peak"].items()
    ]
    lines.append("A commit: " + ", ".join(batches) + ". The raw loop writes the same in one pwrite().")
    return lines


CHART = """
set terminal svg size 860,420 font 'sans-serif,12' background '#ffffff'
set output '{svg}'
set title 'Acknowledged requests a second, 2 KiB, one machine (medians; bars from lowest to highest)'
set style data histogram
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.85 border -1
set bars 0.6
set logscale y
set yrange [100:*]
set ytics nomirror
set grid ytics lc rgb '#cccccc'
set xlabel 'connections'
set key outside right top
set datafile missing '-'
plot {plots}
"""
COLOURS = ["#1b6ca8", "#9aa0a6", "#c98b2b", "#b03a2e", "#4f7942", "#7d5ba6", "#d9d9d9"]


def chart(run, directory):
    """bench.tsv and, where gnuplot is installed, bench.svg."""
    tsv, svg = directory / "bench.tsv", directory / "bench.svg"
    shown = [name for name, _ in names(run)]
    with open(tsv, "w", encoding="utf-8") as out:
        out.write("connections\t" + "\t".join(f"{n}\tlow\thigh" for n in shown) + "\n")
        for c, of in run["peak"].items():
            cells = []
            for name in shown:
                r = rates(of.get(name, []))
                cells += [f"{statistics.median(r):.0f}", f"{min(r):.0f}", f"{max(r):.0f}"] if r else ["-"] * 3
            out.write(c + "\t" + "\t".join(cells) + "\n")
    if not shutil.which("gnuplot"):
        print("gnuplot is not installed: no chart")
        return None
    plots = ", ".join(
        f"'{tsv}' every ::1 using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}{':xtic(1)' if i == 0 else ''}"
        f" title '{name}' lc rgb '{COLOURS[i % len(COLOURS)]}'"
        for i, name in enumerate(shown)
    )
    script = CHART.format(svg=svg, rounds=run["rounds"], plots=plots)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return svg


def readme(run):
    text = README.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    assert mark, f"README.md has no {BEGIN}"
    body = [*table(run), "", *markdown_goals(run), "", *(n.rstrip() for n in notes(run)), "", f"{run['machine']}; {run['when']}."]
    README.write_text(head + BEGIN + "\n" + "\n".join(body) + "\n" + END + tail, encoding="utf-8")


def markdown_goals(run):
    lines = ["| goal | | measured |", "|---|---:|---:|"]
    return lines + [f"| {what} | {goal} | {value}{'' if ok else ' (not reached)'} |" for what, value, goal, ok in goals(run)]


def publish(run, full_length):
    """Tells it; of a full run, keeps it where the README shows it."""
    print("\n".join(table(run)))
    print()
    print("\n".join(goal_lines(run)))
    print("\n".join(notes(run)))
    print(run["machine"])
    directory = HERE if full_length else build_directory() / "bench"
    with open(directory / "bench.json", "w", encoding="utf-8") as out:
        json.dump(run, out, indent=1)
        out.write("\n")
    chart(run, directory)
    if full_length:
        readme(run)
    print(f"written to {directory}" + ("" if full_length else "; not a run of full length: README.md stays as it is"))
