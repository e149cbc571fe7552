"""What the documents show is there: each block of C++ stands in a file of examples/, each link leads somewhere, each
`celeriac ...` line in a console block is understood.

    documents.py CELERIAC SOURCES
"""
import pathlib
import re
import shlex
import subprocess
import sys

program, sources = sys.argv[1], pathlib.Path(sys.argv[2])
faults = []


def squeezed(text):
    return " ".join(text.split())


examples = [squeezed(path.read_text()) for path in (sources / "examples").rglob("*.cpp")]
help_pages = {}


def help_page(*command):
    if command not in help_pages:
        done = subprocess.run([program, *command, "--help"], capture_output=True, text=True)
        help_pages[command] = done.stdout if done.returncode == 0 else None
    return help_pages[command]


def anchors(path):
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def check_command(where, line):
    if not re.search(r"(^|\s)celeriac\s", line):
        return
    words = shlex.split(line.split(" | ")[0], comments=True)
    while words and "=" in words[0]:
        words.pop(0)
    if words and words[0] == "sudo":
        words = words[3:] if words[1:2] == ["-u"] else words[1:]
    if not words or words[0] != "celeriac":
        return
    index = 1
    while index < len(words) and words[index].startswith("-"):  # options before the command
        index += 1 if words[index] in ("-q", "--quiet", "-C", "--no-color", "--version", "--help") else 2
    if index >= len(words):
        return
    page = help_page(words[index])
    if page is None:
        faults.append("%s: no command '%s'" % (where, words[index]))
        return
    if words[index + 1:] and re.fullmatch(r"[a-z-]+", words[index + 1]):
        page += help_page(*words[index:index + 2]) or ""
    known = set(re.findall(r"(?<![\w-])--?[\w-]+", page))
    for word in words[index + 1:]:
        if word == "--":
            break
        option = word.split("=")[0]
        if re.fullmatch(r"--[a-z][\w-]*", option) and option not in known:
            faults.append("%s: %s: no option %s" % (where, words[index], option))


for page in sorted([*sources.glob("*.md"), *(sources / "docs").rglob("*.md")]):
    name = str(page.relative_to(sources))
    text = page.read_text()
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        if language == "cpp" and page.name != "architecture.md" and "adr" not in name:
            if not any(squeezed(block) in example for example in examples):
                faults.append("%s: in no file of examples/:\n%s" % (name, block))
        if language in ("", "console", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                check_command(name, re.sub(r"^[$#] ", "", line.strip()))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists():
            faults.append("%s: no file %s" % (name, target))
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            faults.append("%s: no heading %s" % (name, target))
sys.exit("\n".join(faults) if faults else 0)
