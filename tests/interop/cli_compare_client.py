"""Runs Celery's command line, in this process, for cli_compare.py: reads a JSON list of command lines from stdin, and
writes [[exit code, output], ...]. Starting Python once for each would take minutes."""
import json
import sys

from celery.bin.celery import celery as cli
from click.testing import CliRunner

answers = []
for line in json.load(sys.stdin):
    done = CliRunner().invoke(cli, line)
    answers.append([done.exit_code, done.output])
json.dump(answers, sys.stdout)
