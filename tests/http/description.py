"""The API does what its description says, whatever is sent: schemathesis makes requests from our OpenAPI.

    description.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER

Run by scripts/with_web.sh.
"""
import os
import subprocess
import sys
import unittest

from front_stage import ADMIN, ARGUMENTS, FrontCase, token


class Description(FrontCase):
    def test_no_server_error_and_no_breach(self):
        for name, who, role in (("user", None, None), ("admin", ADMIN, "admin")):
            with self.subTest(name):
                header = "Authorization: Bearer " + (token(role=role) if who is None else token(who, role=role))
                done = subprocess.run(
                    [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", "http://127.0.0.1:%d/api/v1/openapi.json" % self.port,
                     "-H", header, "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
                     "response_headers_conformance,unsupported_method", "--max-examples", "25", "--phases", "examples,coverage,fuzzing", "--seed", "7",
                     "--generation-deterministic", "--request-timeout", "20", "--suppress-health-check", "all", "--exclude-path-regex", "events$|socket$"],
                    capture_output=True, text=True, timeout=800, env={**os.environ, "NO_COLOR": "1"})
                self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
                print(done.stdout[-600:])


if __name__ == "__main__":
    unittest.main(argv=["description"])
