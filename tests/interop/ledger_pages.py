"""Every page of the ledger is answered from an index, however many runs there are.

    ledger_pages.py --worker INTEROP_WORKER --celeriac CELERIAC [--rows 1000000 --most-ms 200]

Prints how long each query took in the server. The plans are judged; the time only where --most-ms says so.
"""
import json
import os
import re
import subprocess

import stage
from stage import Stage, wait_for

ARGUMENTS = stage.arguments(celeriac="", rows=100000, most_ms=0)

FILL = """
INSERT INTO task_runs (task_id, task, queue, state, worker, attempt, received_at, started_at, ended_at, runtime_ms, cpu_ms,
                       peak_rss_kib, cause, args, kwargs, result)
SELECT 'id-' || n, 't.task' || n % 20, (ARRAY['invoice_processing', 'validation', 'export', 'email_processing', 'llm_processing'])[1 + n % 5],
       CASE WHEN n % 1000 = 0 THEN 'REVOKED' WHEN n % 50 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END, 'w' || n % 4 || '@host', 1,
       t, t, t, n % 900, n % 700, 30000 + n % 1000, CASE WHEN n % 50 = 0 THEN 'ValueError: vendor ' || n || ' is not known' END,
       '[' || n || ', "invoice-' || n || '.pdf"]', '{"file": "storage://ab/' || md5(n::text) || '"}', '{"total": "' || n || '.00"}'
FROM generate_series(1, ROWS) n, LATERAL (SELECT now() AT TIME ZONE 'UTC' - (ROWS - n) * interval '1 second' AS t) x
"""

with Stage() as s:
    redis = s.redis()
    url = s.postgres()
    ledger = "postgresql://" + url
    psql = lambda sql: subprocess.run(["psql", "-qAt", ledger, "-v", "ON_ERROR_STOP=1", "-c", sql], check=True, capture_output=True, text=True).stdout
    worker = s.worker(ARGUMENTS.worker, redis.url(), extra=["ledger_url=" + ledger], queues="q")
    wait_for(lambda: psql("SELECT to_regclass('task_runs_search')").strip(), 30, "the ledger's table")
    worker.terminate()
    worker.wait(30)
    psql(FILL.replace("ROWS", str(ARGUMENTS.rows)))
    psql("VACUUM ANALYZE task_runs")
    for name, value in {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_format": "text"}.items():
        psql("ALTER DATABASE postgres SET %s = '%s'" % (name, value))

    middle, rare = ARGUMENTS.rows // 2, "id-%d" % (ARGUMENTS.rows // 3)
    pages = [[], ["--before", str(middle)], ["--state", "FAILURE"], ["--state", "REVOKED", "--task", "t.task0"], ["--state", "RETRY"],
             ["--task", "t.task7"], ["-Q", "export", "--state", "FAILURE"], ["--worker", "w3@host"], ["--worker", "nobody"],
             ["--since", "2020-01-01"], ["--words", "vendor known"], ["--words", "invoice-%d.pdf" % middle], ["--words", "nowhere"], ["--words", "storage"], ["--words", "known", "--task", "t.task0", "--state", "REVOKED"],
             ["--words", "storage", "--state", "RETRY"], ["--words", "known", "--before", "5000"],
             ["--words", "vendor", "--state", "FAILURE", "-Q", "invoice_processing"], ["--state", "FAILURE", "--before", str(middle), "--limit", "200"]]
    run = lambda *a: json.loads(subprocess.run([ARGUMENTS.celeriac, "tasks", *a, "--json"], check=True, capture_output=True, text=True,
                                               env=dict(os.environ, CELERY_LEDGER_URL=ledger)).stdout)
    assert run("show", rare)[0]["id"] == rare
    for page in pages:
        before = len(s.log("postgres"))
        rows = run("ls", *page)
        said = wait_for(lambda: re.search(r"duration: ([\d.]+) ms +plan:\s+Query Text: (?:SELECT run|SELECT \* FROM \(SELECT page).*?(?=\n\d{4}-|\Z)", s.log("postgres")[before:], re.S), 10, "the plan")
        print("%7.1f ms  %3d rows  %s" % (float(said[1]), len(rows), " ".join(page) or "(all)"))
        assert "Seq Scan" not in said[0], said[0]
        assert not ARGUMENTS.most_ms or float(said[1]) < ARGUMENTS.most_ms, said[0]
