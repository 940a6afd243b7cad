"""What SIPp's files say of the time from INVITE to the answer.

figures.py line FOLDER NAME         one line about the calls NAME
figures.py longest FOLDER NAME      milliseconds of the call that waited longest, rounded up
figures.py table FOLDER ROUNDS RATE a table of the calls delay-with-1, delay-without-1, speed-with-1, ...
"""
import math
import statistics
import sys


def answers(folder, name):
    """Of each call, in seconds: when its INVITE was sent, and when it was answered for good."""
    sent, answered = {}, {}
    with open(f"{folder}/{name}.messages") as file:
        for line in file:
            moment, way, call, sequence, first = line.rstrip("\n").split("\t")[2:7]
            if not sequence.endswith(" INVITE"):
                continue
            if way == "S":
                sent.setdefault(call, float(moment))
            elif not first.startswith("SIP/2.0 1"):
                answered.setdefault(call, float(moment))
    return [(sent[call], answered[call]) for call in answered]


def times(folder, name):
    """Milliseconds that each call waited, sorted."""
    return sorted((answered - sent) * 1000 for sent, answered in answers(folder, name))


def at(values, share):
    return values[min(len(values) - 1, int(share * len(values)))]


def line(folder, name):
    found = times(folder, name)
    print(
        f"{len(found)} answers, {at(found, 0.5):.1f} ms at the median, {at(found, 0.99):.1f} ms at the 99th percentile,"
        f" {found[-1]:.0f} ms at most"
    )


def spread(values, digits):
    """The median, and in parentheses the least and the most, of one figure a round."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def speed(folder, name):
    """Answers a second, from the first to the last."""
    moments = [answered for _, answered in answers(folder, name)]
    return (len(moments) - 1) / (max(moments) - min(moments))


def row(label, unit, figures, digits, compared):
    print(f"| {label}, {unit} | {spread(figures['with'], digits)} | {spread(figures['without'], digits)} | {compared} |")


def table(folder, rounds, rate):
    numbers = range(1, int(rounds) + 1)
    print(f"| {rounds} rounds, with and without in turn | with Herald | without | |")
    print("|---|--:|--:|--:|")
    for share, label in ((0.5, "median"), (0.99, "99th percentile")):
        delays = {
            which: [at(times(folder, f"delay-{which}-{number}"), share) for number in numbers]
            for which in ("with", "without")
        }
        added = [one - other for one, other in zip(delays["with"], delays["without"])]
        row(f"post-dial delay at {rate} calls/s, {label}", "ms", delays, 1, f"{spread(added, 1)} ms more")
    speeds = {
        which: [speed(folder, f"speed-{which}-{number}") for number in numbers] for which in ("with", "without")
    }
    ratios = [one / other for one, other in zip(speeds["with"], speeds["without"])]
    row("calls placed, checked, answered and ended", "1/s", speeds, 0, f"{spread(ratios, 2)} of it")


if __name__ == "__main__":
    arguments = sys.argv[2:]
    if sys.argv[1] == "line":
        line(*arguments)
    elif sys.argv[1] == "longest":
        print(math.ceil(times(*arguments)[-1]))
    else:
        table(*arguments)
