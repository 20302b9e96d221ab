"""Check what ``fastkb band`` left: a real picture and a sound table (arguments: PNG CSV)."""

import csv
import itertools
import math
import struct
import sys

png, table = sys.argv[1:]

with open(png, "rb") as file:
    picture = file.read()
assert picture.startswith(b"\x89PNG\r\n\x1a\n"), f"{png} is not a PNG"
assert len(picture) > 10_000, f"{png} has only {len(picture)} bytes"
width, height = struct.unpack(">II", picture[16:24])
assert 800 <= width <= 4000, f"{png} is {width} pixels wide"
assert 500 <= height <= 4000, f"{png} is {height} pixels high"

with open(table, newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
assert list(rows[0]) == ["bmi", "center", "mean", "low", "high"], f"columns {list(rows[0])}"
assert len(rows) == 200, f"{table} has {len(rows)} rows"
values = [{name: float(text) for name, text in row.items()} for row in rows]
assert all(math.isfinite(v) for row in values for v in row.values()), "a value is not finite"
assert all(row["low"] <= row["high"] for row in values), "low > high"
assert all(a["bmi"] < b["bmi"] for a, b in itertools.pairwise(values)), "bmi must increase"
inside = sum(row["low"] <= row["center"] <= row["high"] for row in values)
assert inside >= 190, f"the curve is inside its band at {inside} of 200 points only"
# Disease progression in the data goes from 25 to 346: so must a curve through it, in these units.
assert all(25 <= row["center"] <= 346 for row in values), "the curve leaves the range of the data"

print(f"{png}: {width} x {height} pixels; {table}: 200 rows, curve inside the band at {inside}")
