"""Random crontabs at random instants: ours must come next when real Celery's does, and refuse what it refuses.

    crontab_property.py CRONTAB_NEXT [COUNT [SEED]]

Instants near a change of the clock are left to the table in beat_crontab_test.cpp, where ours is right and
Celery's is not.
"""
import datetime
import random
import subprocess
import sys
import zoneinfo

import celery
from celery import Celery
from celery.schedules import ParseException, crontab

PROGRAM, COUNT = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4000
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
RANDOM = random.Random(SEED)
DAYS = ["sun", "Monday", "tue", "WED", "thursday", "fri", "Sat"]
FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]  # in the order of cron
# Celery before 5.3 takes the days of other zones for days of UTC.
ZONES = ["UTC"] if celery.VERSION < (5, 3) else ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]


def number(field):
    least, most = FIELDS[field]
    if RANDOM.random() < 0.02:
        return str(RANDOM.choice([most + 1, most + 40, "abc"]))
    if field == 4 and RANDOM.random() < 0.4:
        return RANDOM.choice(DAYS)
    return str(RANDOM.randint(least, most))


def part(field):
    kind = RANDOM.random()
    if kind < 0.01:
        return ""
    if kind < 0.35:
        return "*"
    if kind < 0.6:
        return number(field)
    if kind < 0.75:
        return "*/%s" % RANDOM.choice([1, 2, 3, 5, 7, 15, 20])
    text = "%s-%s" % (number(field), number(field))
    return text + ("/%d" % RANDOM.randint(1, 9) if RANDOM.random() < 0.4 else "")


def spec(field):
    return ",".join(part(field) for _ in range(RANDOM.choice([1, 1, 1, 2, 3])))


def clock_changes(zone, start, end):
    moment, step = start, datetime.timedelta(hours=6)
    offset = moment.astimezone(zone).utcoffset()
    while moment < end + step:
        moment += step
        if moment.astimezone(zone).utcoffset() != offset:
            return True
    return False


def celerys(text, zone_name, instant):
    app = Celery(set_as_current=False)
    app.conf.timezone = zone_name
    zone = zoneinfo.ZoneInfo(zone_name)
    now = datetime.datetime.fromtimestamp(instant, zone)
    minute, hour, day, month, weekday = text.split(" ")
    schedule = crontab(minute, hour, weekday, day, month, nowfun=lambda: now, app=app)
    schedule.tz = zone
    start, delta, _ = schedule.remaining_delta(now)
    return int((start + delta).astimezone(datetime.timezone.utc).timestamp())


def main():
    cases = []
    for _ in range(COUNT):
        text = " ".join(spec(field) for field in range(5))
        cases.append((text, RANDOM.choice(ZONES), RANDOM.randint(1577836800, 2051222400)))  # 2020 to 2035
    lines = "".join("%s|%s|%d\n" % case for case in cases)
    done = subprocess.run([PROGRAM], input=lines, capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(cases), done.stderr
    compared = refused = skipped = 0
    for (text, zone, instant), ours in zip(cases, answers):
        where = "seed %d: %r in %s after %d" % (SEED, text, zone, instant)
        try:
            theirs = celerys(text, zone, instant)
        except (ValueError, ParseException) as error:
            assert ours.startswith("error"), "%s: Celery refuses (%s), ours says %s" % (where, error, ours)
            refused += 1
            continue
        except (RuntimeError, IndexError):  # Celery gives up looking
            skipped += 1
            continue
        assert not ours.startswith("error"), "%s: ours refuses: %s; Celery says %s" % (where, ours, theirs)
        utc = datetime.timezone.utc
        begin, end = (datetime.datetime.fromtimestamp(t, utc) for t in (instant, max(theirs, int(ours))))
        if end.year >= 2037:  # the system's database lists no changes of the clock beyond
            skipped += 1
            continue
        day = datetime.timedelta(days=1)
        near = zone != "UTC" and (clock_changes(zoneinfo.ZoneInfo(zone), begin - day, begin + day) or
                                  clock_changes(zoneinfo.ZoneInfo(zone), end - day, end + day))
        if near:
            skipped += 1
            continue
        assert int(ours) == theirs, "%s: ours %s, Celery %s" % (
            where, datetime.datetime.fromtimestamp(int(ours), utc), datetime.datetime.fromtimestamp(theirs, utc))
        compared += 1
    print("compared %d, both refused %d, left out %d (seed %d)" % (compared, refused, skipped, SEED))
    assert compared > COUNT // 2, "too few were compared"


main()
