"""A strict reader of OpenMetrics 1.0 text, as far as a daemon of ours has use for it: whatever it
does not know is an error."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Inf)|NaN")
SUFFIXES = {"gauge": {""}, "counter": {"_total"}, "info": {"_info"},
            "histogram": {"_bucket", "_sum", "_count"}}
UNITS = ("seconds", "bytes")


class Family:
    def __init__(self, name, kind):
        self.name, self.kind, self.unit, self.help = name, kind, None, None
        self.samples = {}  # (name, labels as sorted pairs): value


def labels_of(text):
    found = LABEL.findall(text or "")
    assert ",".join(f'{n}="{v}"' for n, v in found) == (text or ""), f"labels: {text}"
    assert len({n for n, _ in found}) == len(found), f"a label twice: {text}"
    return tuple(sorted(found))


def check_histogram(family):
    series = {}
    for (name, labels), value in family.samples.items():
        rest = tuple(p for p in labels if p[0] != "le")
        mine = series.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            (bound,) = [v for n, v in labels if n == "le"]
            assert bound == "+Inf" or "." in bound, f"{family.name}: le={bound} is no float"
            mine["buckets"].append((math.inf if bound == "+Inf" else float(bound), value))
        else:
            assert rest == labels, f"{name}: le"
            mine[name[len(family.name):]] = value
    for labels, mine in series.items():
        bounds, counts = [b for b, _ in mine["buckets"]], [c for _, c in mine["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, f"{family.name}{labels}: {bounds}"
        assert counts == sorted(counts), f"{family.name}{labels}: not cumulative"
        assert counts[-1] == mine["_count"], f"{family.name}{labels}: +Inf is not _count"
        assert mine["_sum"] >= 0 and (mine["_count"] or mine["_sum"] == 0), f"{family.name}{labels}"


def finish(family):
    assert family.samples, f"{family.name}: no samples"
    assert family.help, f"{family.name}: no HELP"
    ends = [u for u in UNITS if family.name.endswith("_" + u)]
    assert family.unit == (ends[0] if ends else None), f"{family.name}: UNIT {family.unit}"
    assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info")), family.name
    if family.kind == "histogram":
        check_histogram(family)
    if family.kind == "counter":
        assert all(v >= 0 for v in family.samples.values()), family.name


def parse(text):
    """{name: Family}; an AssertionError says what is not OpenMetrics."""
    families, family = {}, None
    assert text.endswith("\n# EOF\n"), "does not end in # EOF"
    lines = text.split("\n")[:-2]
    for line in lines:
        if line.startswith("# "):
            word, name, rest = (line[2:].split(" ", 2) + [""])[:3]
            assert word in ("TYPE", "HELP", "UNIT"), line
            if family is None or name != family.name:
                assert word == "TYPE", f"begins without TYPE: {line}"
                assert name not in families, f"interleaved or twice: {name}"
                assert rest in SUFFIXES, line
                if family:
                    finish(family)
                family = families[name] = Family(name, rest)
            else:
                assert not family.samples, f"behind samples: {line}"
                assert word != "TYPE", f"twice: {line}"
                assert getattr(family, word.lower()) is None, f"twice: {line}"
                setattr(family, word.lower(), rest)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        name, labels, value = match[1], labels_of(match[2]), match[3]
        assert family and name.startswith(family.name), f"of no family: {line}"
        assert name[len(family.name):] in SUFFIXES[family.kind], f"suffix: {line}"
        assert NUMBER.fullmatch(value), f"number: {line}"
        assert (name, labels) not in family.samples, f"twice: {line}"
        family.samples[name, labels] = float(value)
    assert family, "nothing"
    finish(family)
    return families


def values(text):
    """{name or 'name{a="b",c="d"}' with sorted labels: value}"""
    return {name + ("{" + ",".join(f'{n}="{v}"' for n, v in labels) + "}" if labels else ""): value
            for f in parse(text).values() for (name, labels), value in f.samples.items()}


def as_prometheus(text):
    """The same as Prometheus' older text form, which promtool can check: no info, no units, and a
    counter's name is that of its samples."""
    out = []
    for line in text.splitlines():
        if line.startswith(("# UNIT", "# EOF")):
            continue
        kind = re.fullmatch(r"# TYPE (\S+) (counter|info)", line)
        if kind:
            suffix = {"counter": "_total", "info": "_info"}[kind[2]]
            last = kind[1]
            line = f"# TYPE {kind[1]}{suffix} {'counter' if kind[2] == 'counter' else 'gauge'}"
        elif line.startswith("# TYPE "):
            last = None
        elif line.startswith("# HELP ") and last and line.split(" ")[2] == last:
            line = line.replace(last, last + suffix, 1)
        out.append(line)
    return "\n".join(out) + "\n"
