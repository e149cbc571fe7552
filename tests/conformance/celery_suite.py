#!/usr/bin/env python3
"""Celery's own integration tests against a worker process; none may end worse than with Celery's worker.

  celery_suite.py --worker build/release/examples/conformance_worker [--broker rabbitmq] [--results postgres] [--parts 6] [-- PYTEST OPTION ...]
  celery_suite.py --record [--broker rabbitmq] [--results postgres]     Celery's worker takes the tests and its outcomes are written down

The tests wait far more than they work, so they are dealt out to parts that run side by side, each with its own
servers, worker and pytest; of RabbitMQ there is one, with a vhost for each part. Exit status 77: no Celery 5.6 with pytest (scripts/celery_venv.sh), or no sdist to be had.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))
import celery_source  # noqa: E402
from stage import SKIP, Stage  # noqa: E402

FILES = ["test_canvas.py", "test_inspect.py", "test_loader.py", "test_tasks.py", "test_dedup_chain_dispatch.py",
         "test_prefork_shutdown.py"]
INI = "[pytest]\npython_classes = test_*\nxfail_strict = true\ntimeout_func_only = true\nmarkers =\n  flaky\n  timeout\n"
ORDER = ["passed", "xfailed", "skipped", "failed", "not run"]


def run_part(part, options, tree, command, rabbit, outcomes, broken):
    with Stage() as stage:
        server = stage.redis()
        broker = server.url()
        if rabbit:
            broker = rabbit.url("part%d" % part)
        results = server.url() if options.results == "redis" else "db+postgresql://" + stage.postgres()
        work = os.path.join(stage.dir, "suite")
        shutil.copytree(os.path.join(tree, "t", "integration"), os.path.join(work, "t", "integration"))
        open(os.path.join(work, "t", "__init__.py"), "w").close()
        with open(os.path.join(work, "pytest.ini"), "w") as file:
            file.write(INI)
        report = os.path.join(work, "outcomes.json")
        log = os.path.join(options.logs, "worker-%s-%d.log" % (options.kind, part))
        if os.path.exists(log):
            os.remove(log)
        environment = dict(
            os.environ, TEST_BROKER=broker, TEST_BACKEND=results, REDIS_HOST="127.0.0.1",
            REDIS_PORT=str(server.port), OUTSIDE_COMMAND=json.dumps(command), OUTSIDE_LOG=log, OUTSIDE_REPORT=report,
            OUTSIDE_PART="%d/%d" % (part, options.parts), PYTHONPATH=os.pathsep.join([HERE, work]),
            ASAN_OPTIONS="allocator_may_return_null=1")
        with open(os.path.join(options.logs, "pytest-%s-%d.log" % (options.kind, part)), "w") as output:
            session = subprocess.Popen(
                [options.python, "-m", "pytest", "-p", "celery.contrib.pytest", "-p", "outside_worker", "-p",
                 "no:cacheprovider", "-v", "--tb=short", "--durations=10"] + options.pytest +
                ["t/integration/" + name for name in FILES], cwd=work, env=environment, stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
            status = session.wait()
        try:
            os.killpg(session.pid, signal.SIGKILL)  # a worker that outlived a broken session
        except ProcessLookupError:
            pass
        if status not in (0, 1, 5) or not os.path.exists(report):
            broken.append("part %d: pytest ended with %d: see %s" % (part, status, output.name))
            return
        with open(report) as file:
            outcomes.update(json.load(file))


def read_reference(path):
    with open(path) as file:
        lines = [line.rstrip("\n").split(" ", 1) for line in file if not line.startswith("#")]
    return {test: outcome for outcome, test in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", help="the conformance_worker binary")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
    parser.add_argument("--results", choices=["redis", "postgres"], default="redis")
    parser.add_argument("--parts", type=int, default=6)
    parser.add_argument("--python", default=os.environ.get("CELERIAC_CELERY56_PYTHON"))
    parser.add_argument("--cache", default="build/celery-suite", help="where the sdist is kept")
    parser.add_argument("--logs", default="build/celery-suite/logs")
    parser.add_argument("pytest", nargs="*", help="options for pytest, after --")
    options = parser.parse_args()
    if not options.worker and not options.record:
        parser.error("give --worker or --record")
    if not options.python or subprocess.run([options.python, "-c", "import celery, pytest_rerunfailures, pytest_timeout"],
                                            stderr=subprocess.DEVNULL).returncode:
        print("skipped: CELERIAC_CELERY56_PYTHON names no Python with Celery and pytest (scripts/celery_venv.sh)")
        return SKIP
    options.kind = options.results if options.broker == "redis" else "%s-%s" % (options.broker, options.results)
    for name in ("python", "cache", "logs"):
        setattr(options, name, os.path.abspath(getattr(options, name)))
    os.makedirs(options.logs, exist_ok=True)
    try:
        tree = celery_source.unpack(options.python, options.cache)
    except celery_source.NotAvailable as error:
        print("skipped: %s" % error)
        return SKIP
    run = [options.python, os.path.join(HERE, "python_worker.py")] if options.record else [os.path.abspath(options.worker)]
    command = run + ["--broker", "{broker}", "--result-backend", "{backend}", "-n", "{node}", "-c", "{concurrency}",
                     "-Q", "{queues}"]
    outcomes, broken = {}, []
    with Stage() as shared:
        rabbit = shared.rabbit() if options.broker == "rabbitmq" else None
        for part in range(1, options.parts + 1) if rabbit else ():
            rabbit.add_vhost("part%d" % part)
            rabbit.trace("part%d" % part)  # the message tap reads it
        threads = [threading.Thread(target=run_part, args=(part, options, tree, command, rabbit, outcomes, broken))
                   for part in range(1, options.parts + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    kinds = [kind for kind, _ in outcomes.values()]
    print(", ".join("%d %s" % (kinds.count(kind), kind) for kind in ORDER if kind in kinds))
    reference = os.path.join(HERE, "python-%s.txt" % options.kind)
    if broken:
        print("\n".join(sorted(broken)))
        return 1
    if options.record:
        best = read_reference(reference) if os.path.exists(reference) else {}
        for test, (kind, _) in outcomes.items():
            best[test] = min(kind, best.get(test, kind), key=ORDER.index)
        with open(reference, "w") as file:
            file.write("# How Celery %s's own worker takes Celery's tests; of several runs the best, some of them hang on\n"
                       "# the machine's load. Written by celery_suite.py --record\n" % celery_source.VERSION)
            for test in sorted(best):
                file.write("%s %s\n" % (best[test], test))
        return 0
    worse = 0
    for test, expected in sorted(read_reference(reference).items()):
        if test not in outcomes and options.pytest:
            continue
        kind, why = outcomes.get(test, ("not run", ""))
        if ORDER.index(kind) > ORDER.index(expected):
            worse += 1
            print("%s: %s with Celery's worker, %s here\n%s" % (test, expected, kind, why))
    for test in sorted(set(outcomes) - set(read_reference(reference))):
        if outcomes[test][0] != "passed":
            worse += 1
            print("%s: %s; the reference does not know it\n%s" % (test, outcomes[test][0], outcomes[test][1]))
    print("%d worse than with Celery's worker; logs in %s" % (worse, options.logs))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
