"""Writes `vectors.json`: what each sampler leaves, worked out from its definition in plain Python.

Independent of the Rust code on purpose: 64-bit floats, no shared helper, the quadratic form of every
algorithm. `python runtime-core/sample/tests/vectors.py` writes the file anew.
"""

import json
import math
import random
from pathlib import Path

RANDOM = random.Random(20261121)


def softmax(logits):
    largest = max(logits.values())
    weights = {t: math.exp(x - largest) for t, x in logits.items()}
    total = sum(weights.values())
    return {t: w / total for t, w in weights.items()}


def ranked(logits):
    return sorted(logits, key=lambda t: (-logits[t], t))


def top_k(logits, k):
    return {t: logits[t] for t in (ranked(logits)[:k] if k else logits)}


def top_p(logits, p, min_keep):
    probabilities, kept, total = softmax(logits), [], 0.0
    for t in ranked(logits):
        kept.append(t)
        total += probabilities[t]
        if total >= p and len(kept) >= min_keep:
            break
    return {t: logits[t] for t in kept}


def min_p(logits, p, min_keep):
    probabilities = softmax(logits)
    best = max(probabilities.values())
    kept = [t for t in logits if probabilities[t] >= p * best]
    if len(kept) < min_keep:
        kept = ranked(logits)[:min_keep]
    return {t: logits[t] for t in kept}


def typical(logits, p, min_keep):
    probabilities = softmax(logits)
    entropy = -sum(q * math.log(q) for q in probabilities.values())
    order = sorted(logits, key=lambda t: abs(-math.log(probabilities[t]) - entropy))
    kept, total = [], 0.0
    for t in order:
        kept.append(t)
        total += probabilities[t]
        if total > p and len(kept) >= min_keep:
            break
    return {t: logits[t] for t in kept}


def top_n_sigma(logits, n):
    mean = sum(logits.values()) / len(logits)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in logits.values()) / len(logits))
    least = max(logits.values()) - n * deviation
    return {t: x for t, x in logits.items() if x >= least}


def xtc_applied(logits, threshold):
    probabilities = softmax(logits)
    likely = [t for t in ranked(logits) if probabilities[t] >= threshold]
    return {t: x for t, x in logits.items() if t not in likely[:-1]}


def temperature(logits, value):
    return {t: x / value for t, x in logits.items()}


def dynamic_temperature(logits, middle, spread, exponent):
    probabilities = softmax(logits)
    entropy = -sum(q * math.log(q) for q in probabilities.values())
    share = entropy / math.log(len(logits))
    low, high = max(0.0, middle - spread), middle + spread
    return temperature(logits, low + (high - low) * share**exponent)


def penalties(logits, tokens, last, repeat, frequency, presence):
    recent = tokens[-last:] if last else []
    out = {}
    for t, x in logits.items():
        count = recent.count(t)
        if count:
            x = x * repeat if x <= 0 else x / repeat
            x -= count * frequency + presence
        out[t] = x
    return out


def dry(logits, tokens, last, multiplier, base, allowed, breakers):
    """For each token: the longest run at the end that also stands before an earlier use of it."""
    recent = tokens[-last:]
    limit = len(recent)
    for distance in range(len(recent)):
        at = len(recent) - 1 - distance
        lengths = [len(b) for b in breakers if recent[at : at + len(b)] == b]
        if lengths:
            limit = distance - (max(lengths) - 1)
            break
    if limit < allowed:
        return dict(logits)
    out = dict(logits)
    for t in logits:
        if [t] in breakers:
            continue
        best = 0
        for at in range(1, len(recent)):
            if recent[at] != t:
                continue
            length = 0
            while length < at and recent[at - 1 - length] == recent[-1 - length]:
                length += 1
            best = max(best, min(length, limit))
        if best >= allowed:
            out[t] -= multiplier * base ** (best - allowed)
    return out


def mirostat_cut(logits, mu):
    probabilities = softmax(logits)
    kept = []
    for t in ranked(logits):
        if -math.log2(probabilities[t]) > mu:
            break
        kept.append(t)
    return {t: logits[t] for t in kept or ranked(logits)[:1]}


def case(sampler, logits, left, **arguments):
    return {
        "sampler": sampler,
        "arguments": arguments,
        "logits": [logits[t] for t in range(len(logits))],
        "left": {str(t): x for t, x in sorted(left.items())},
    }


def draw(size):
    return {t: round(RANDOM.gauss(0, 2.5), 3) for t in range(size)}


def simple_cases():
    for size in (2, 7, 40, 300):
        logits = draw(size)
        for k in (1, 5, 40):
            yield case("top_k", logits, top_k(logits, k), k=k)
        for p, keep in ((0.1, 0), (0.5, 0), (0.95, 0), (0.2, 4)):
            keep = min(keep, size)
            yield case("top_p", logits, top_p(logits, p, keep), p=p, min_keep=keep)
            yield case("min_p", logits, min_p(logits, p, keep), p=p, min_keep=keep)
            yield case("typical", logits, typical(logits, p, keep), p=p, min_keep=keep)
        # Two numbers are always two deviations apart: whether both are kept is a matter of rounding.
        for n in (0.5, 1.0, 1.9):
            yield case("top_n_sigma", logits, top_n_sigma(logits, n), n=n)
        for threshold in (0.05, 0.1, 0.3):
            yield case("xtc", logits, xtc_applied(logits, threshold), threshold=threshold)
        for value in (0.3, 1.7):
            yield case("temperature", logits, temperature(logits, value), value=value)
        for middle, spread, exponent in ((0.8, 0.5, 1.0), (1.0, 0.9, 0.4)):
            left = dynamic_temperature(logits, middle, spread, exponent)
            yield case(
                "dynamic_temperature", logits, left, middle=middle, range=spread, exponent=exponent
            )
        for mu in (1.0, 4.0, 10.0):
            yield case("mirostat", logits, mirostat_cut(logits, mu), mu=mu)


def history_cases():
    for length in (0, 3, 10, 60, 200):
        logits = draw(6)
        tokens = [RANDOM.randrange(6) for _ in range(length)]
        for last, repeat, frequency, presence in (
            (64, 1.3, 0.0, 0.0),
            (5, 1.0, 0.4, 0.2),
            (64, 0.9, 0.1, -0.5),
        ):
            left = penalties(logits, tokens, last, repeat, frequency, presence)
            yield case(
                "penalties",
                logits,
                left,
                tokens=tokens,
                last=last,
                repeat=repeat,
                frequency=frequency,
                presence=presence,
            )
        for alphabet in (2, 3, 5):
            tokens = [RANDOM.randrange(alphabet) for _ in range(length)]
            for breakers in ([], [[1]], [[0, 1], [4]], [[2], [2, 0]]):
                for last in (64, 7):
                    left = dry(logits, tokens, last, 0.8, 1.75, 2, breakers)
                    yield case(
                        "dry",
                        logits,
                        left,
                        tokens=tokens,
                        last=last,
                        multiplier=0.8,
                        base=1.75,
                        allowed=2,
                        breakers=breakers,
                    )


if __name__ == "__main__":
    cases = [*simple_cases(), *history_cases()]
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases)
    Path(__file__).with_name("vectors.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases")
