"""The API does what its description says, whatever is sent: schemathesis makes requests from our OpenAPI.

    description.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--every N]

Run by scripts/with_web.sh. Three requests to each operation as a user and as an administrator; N times as many where --every says so.
"""
import os
import subprocess
import sys
import unittest

from front_stage import ADMIN, ARGUMENTS, FrontCase, free_port, token


class Description(FrontCase):
    def test_no_server_error_and_no_breach(self):
        port = free_port()
        self.serve("described", port, CELERY_HTTP_RATE_LIMIT="0", CELERY_HTTP_UPLOAD_RATE_LIMIT="0")
        for name, who, role in (("user", None, None), ("admin", ADMIN, "admin")):
            with self.subTest(name):
                header = "Authorization: Bearer " + (token(role=role) if who is None else token(who, role=role))
                done = subprocess.run(
                    [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", "http://127.0.0.1:%d/api/v1/openapi.json" % port,
                     "-H", header, "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                     "--max-examples", str(ARGUMENTS.every * 3), "--phases", "fuzzing", "--seed", "7",
                     "--generation-deterministic", "--request-timeout", "20", "--suppress-health-check", "all", "--exclude-path-regex", "events$|socket$"],
                    capture_output=True, text=True, timeout=400, env={**os.environ, "NO_COLOR": "1"})
                self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
                print(done.stdout[-600:])


if __name__ == "__main__":
    unittest.main(argv=["description"])
