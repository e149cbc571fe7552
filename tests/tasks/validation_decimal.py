"""Sums, products and the verdicts that rest on them, against Python's decimal on random amounts."""
import random
import subprocess
import sys
from decimal import Decimal, getcontext

getcontext().prec = 80
COUNT = 5000


def amount(rng):
    digits = rng.choice([1, 2, 3, 6, 10, 14])
    whole = rng.randrange(10 ** digits)
    places = rng.choice([0, 1, 2, 2, 2, 3, 6])
    text = str(whole)
    if places:
        text += "." + "".join(rng.choice("0123456789") for _ in range(places))
    return rng.choice(["", "", "", "-"]) + text


def near(rng, exact):
    """A stated amount at, just within or just beyond a cent of the exact one, where that fits the column."""
    off = rng.choice(["0", "0.01", "-0.01", "0.010001", "-0.010001", "0.009999", "1"])
    value = (exact + Decimal(off)).quantize(Decimal("0.000001"))
    return f"{value:f}" if abs(value) < Decimal(10) ** 14 else "1"


def main():
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    rng = random.Random(seed)
    rows = []
    for _ in range(COUNT):
        a, b = amount(rng), amount(rng)
        exact = Decimal(a) * Decimal(b) if rng.random() < 0.5 else Decimal(a) + Decimal(b)
        rows.append((a, b, near(rng, exact)))
    out = subprocess.run([sys.argv[1]], input="\n".join(" ".join(r) for r in rows) + "\n", text=True,
                         capture_output=True, check=True, timeout=120).stdout.splitlines()
    assert len(out) == len(rows), (len(out), len(rows))
    for (a, b, stated), line in zip(rows, out):
        left, right, total = Decimal(a), Decimal(b), Decimal(stated)
        total_sum, difference, product, line_product, sum_verdict = line.split()
        assert Decimal(total_sum) == left + right, (a, b, line)
        assert Decimal(difference) == left - right, (a, b, line)
        assert Decimal(product) == left * right, (a, b, line)
        cent = Decimal("0.01")
        assert line_product == ("pass" if abs(left * right - total) <= cent else "fail"), (a, b, stated, line)
        assert sum_verdict == ("pass" if abs(left + right - total) <= cent else "fail"), (a, b, stated, line)
    print(len(rows), "agree")


main()
