"""Who may: tokens, API keys, limits, hosts and origins.

    callers.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import hashlib
import json
import subprocess
import unittest
import uuid

from front_stage import ARGUMENTS, OTHER, FrontCase, free_port, token, wait_for

PROCESS = "/api/v1/tasks/invoice_processing.process_document"


class Callers(FrontCase):
    def test_callers_are_proven(self):
        path = "/api/v1/tasks"
        self.assertEqual(self.ask("GET", path).status, 200)
        self.assertEqual(self.ask("GET", path, who=None, Authorization="Bearer " + token(tasks=None)).json["tasks"], [])
        only = "Bearer " + token(tasks=["validation.validate_invoice"])
        self.assertEqual([t["name"] for t in self.ask("GET", path, who=None, Authorization=only).json["tasks"]], ["validation.validate_invoice"])
        self.problem(self.ask("POST", PROCESS, {"args": ["x"]}, who=None, Authorization=only), 404, "unknown-task")

    def test_api_keys_are_known_by_their_digest(self):
        self.sql("INSERT INTO users (id, email) VALUES ('%s', 'key@example.com') ON CONFLICT DO NOTHING" % OTHER)
        self.sql("UPDATE users SET is_active = true, status = 'active' WHERE id = '%s'" % OTHER)
        self.sql("INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash) VALUES (gen_random_uuid(), '%s', 'k', 'ck', '%s')"
                 % (OTHER, hashlib.sha256(b"ck-real").hexdigest()))
        self.assertEqual(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key="ck-real").status, 200)
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key="ck-wrong"), 401, "not-authenticated")
        self.sql("UPDATE api_keys SET is_active = false")
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key="ck-real"), 401, "not-authenticated")

    def test_keys_are_made_and_ended_on_the_command_line(self):
        def run(*a, code=0):
            done = subprocess.run([ARGUMENTS.celeriac, "api-key", *a], env=self.environment, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done
        made = json.loads(run("create", "ci", "--email", "ci@example.com", "--task", "*", "--rate-limit", "3", "--json").stdout)
        seen = [self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=made["key"]) for _ in range(4)]
        self.assertEqual([a.status for a in seen], [200, 200, 200, 429])
        self.assertTrue(seen[0].json["tasks"])
        listed = {k["id"]: k for k in json.loads(run("ls", "--json").stdout)}[made["id"]]
        self.assertEqual((listed["name"], listed["user"], listed["active"], listed["tasks"]), ("ci", "ci@example.com", True, ["*"]))
        self.assertIsNotNone(listed["last_used"])
        self.assertNotIn(made["key"], run("ls").stdout)
        admin = run("create", "boss", "--email", "boss@example.com", "--role", "admin").stdout.strip()
        self.assertEqual(self.ask("GET", "/api/v1/audit-log", who=None, X_API_Key=admin).status, 200)
        self.assertIn("is no admin", run("create", "x", "--email", "ci@example.com", "--role", "admin", code=1).stderr)
        elsewhere = run("create", "far", "--email", "ci@example.com", "--address", "10.1.0.0/16").stdout.strip()
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=elsewhere), 401, "not-authenticated")
        near = run("create", "near", "--email", "ci@example.com", "--address", "10.1.0.0/16", "--address", "127.0.0.0/8").stdout.strip()
        self.assertEqual(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=near).status, 200)
        over = run("create", "over", "--email", "ci@example.com", "--expires", "2020-01-01").stdout.strip()
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=over), 401, "not-authenticated")
        run("create", "bad", "--email", "ci@example.com", "--expires", "soon", code=1)
        run("create", "bad", "--email", "ci@example.com", "--address", "nowhere", code=1)
        run("revoke", near[:11])
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=near), 401, "not-authenticated")
        self.assertIn("no active key", run("revoke", near[:11], code=1).stderr)

    def limited(self, name, port, limit):
        """A front end that counts in Redis; until it is connected it counts for itself."""
        self.serve(name, port, CELERY_HTTP_RATE_LIMIT=str(limit))

        def counts():
            somebody = str(uuid.uuid4())
            self.ask("GET", "/api/v1/tasks", port=port, who=somebody)
            return self.redis.client.exists("celeriac.rate.user." + somebody)
        wait_for(counts, 20, "the front end to count in Redis")

    def test_a_limit_holds_for_all_front_ends_together(self):
        ports = [free_port(), free_port()]
        for n, port in enumerate(ports):
            self.limited("together%d" % n, port, 4)
        statuses = [self.ask("GET", "/api/v1/tasks", port=ports[n % 2]).status for n in range(6)]
        self.assertEqual(statuses, [200] * 4 + [429] * 2)

    def test_limits_hosts_origins_and_headers(self):
        port = free_port()
        self.limited("limited", port, 3)
        seen = [self.ask("GET", "/api/v1/tasks", port=port) for _ in range(4)]
        self.assertEqual([a.status for a in seen], [200, 200, 200, 429])
        self.assertRegex(seen[0].headers["RateLimit"], r'^"default";r=2;t=\d+$')
        self.assertEqual(seen[0].headers["RateLimit-Policy"], '"default";q=3;w=3600')
        self.assertGreater(int(seen[3].headers["Retry-After"]), 3000)
        self.assertEqual(self.ask("GET", "/api/v1/tasks", port=port, who=OTHER).status, 200)
        self.problem(self.ask("GET", "/health", Host="evil.example"), 421, "unknown-host")
        answer = self.ask("GET", "/health", Origin="https://app.example", X_Request_Id="abc-1")
        self.assertEqual((answer.headers["Access-Control-Allow-Origin"], answer.headers["X-Request-Id"]), ("https://app.example", "abc-1"))
        self.assertIsNone(self.ask("GET", "/health", Origin="https://evil.example").headers["Access-Control-Allow-Origin"])
        for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Strict-Transport-Security", "Content-Security-Policy"):
            self.assertTrue(answer.headers[name], name)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        flight = self.ask("OPTIONS", PROCESS, who=None, Origin="https://app.example", Access_Control_Request_Method="POST")
        self.assertEqual((flight.status, flight.headers["Access-Control-Allow-Origin"]), (204, "https://app.example"))


if __name__ == "__main__":
    unittest.main(argv=["callers"])
