"""celeriac extract on folders of documents that are kept outside this tree.

usage: extraction_dataset.py hostile|zugferd CELERIAC SOURCE_FOLDER

hostile   every file of DATASET/hostile ends as its index.json expects, and none crashes
zugferd   document accuracy on DATASET/dev/zugferd without the embedded XML, by its scorer
Exits with 77 when there is no such folder.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

THRESHOLD = 0.80


def extract(celeriac, paths, *options):
    run = subprocess.run([celeriac, "extract", *options, *map(str, paths)], capture_output=True, text=True)
    if run.returncode not in (0, 1):
        sys.exit(f"celeriac extract ended with {run.returncode}: {run.stderr}")
    return [json.loads(line) for line in run.stdout.splitlines()]


# How the words of the index map to our error codes; True stands for a successful reading.
REJECTIONS = {
    "empty_file": {"empty_file"},
    "corrupt_pdf": {"corrupt"},
    "corrupt_image": {"corrupt"},
    "not_a_pdf": {"unsupported_type", "corrupt"},
    "mislabelled": {"unsupported_type"},
    "too_many_pages": {"too_many_pages"},
    "decompression_bomb": {"decompression_bomb"},
    "image_too_large": {"image_too_large"},
    "image_too_small": {"image_too_small"},
    "unsupported_type": {"unsupported_type"},
    "password_required": {"password_required"},
    "no_text": {True},
}
# Expectations that are written in prose only.
ALSO = {
    "noise.jpg": {True, "timeout"},
    "tiff_50_frames.tif": {True, "too_many_pages"},
    "image_bomb_in_pdf.pdf": {True, "image_too_large"},
    "mustang_corruptedV2PDF.pdf": {True, "corrupt", "image_too_large"},
    "mustang_invalidPDF.pdf": {True, "corrupt"},
}
WARNINGS = {"javascript.pdf": "active_content", "launch_action.pdf": "active_content",
            "xml_entity_bomb_xxe.pdf": "xml_invalid", "embedded_xml_disagrees.pdf": "xml_conflicts_with_page",
            "flate_bomb_nested_attachment.pdf": "attachment_too_large"}
NUMBERS = {"embedded_xml_disagrees.pdf": "H-9999", "owner_only_aes256.pdf": "471102"}


def allowed_outcomes(name, expect):
    allowed = set(ALSO.get(name, set()))
    for word, codes in REJECTIONS.items():
        if f"reject:{word}" in expect:
            allowed |= codes
    if any(word in expect for word in ("extract", "route", "succeed", "classified", "readable", "finish", "refuse",
                                       "scaled", "never write", "partial")):
        allowed.add(True)
    return allowed


def check(entry, line):
    name, expect = entry["file"], entry["expect"]
    outcome = True if line["status"] == "ok" else line["error"]["code"]
    if outcome not in allowed_outcomes(name, expect):
        return f"ended as {outcome!r}, expected: {expect}"
    if outcome is not True:
        return None
    if name in WARNINGS and WARNINGS[name] not in line["warnings"]:
        return f"no warning {WARNINGS[name]}, only {line['warnings']}"
    number = NUMBERS.get(name) or ("H-1001" if "H-1001" in expect else None)
    if number and line["invoice_number"] != number:
        return f"invoice number {line['invoice_number']!r} instead of {number}"
    if "not_an_invoice" in expect and (line["document_type"] != "other" or line["invoice_number"] or line["total_amount"]):
        return "taken for an invoice"
    if name in ("blank.png", "noise.jpg") and (line["invoice_number"] or line["total_amount"]):
        return "fields invented"
    return None


def hostile(celeriac, dataset):
    entries = json.loads((dataset / "hostile" / "index.json").read_text())
    lines = extract(celeriac, [dataset / "hostile" / e["file"] for e in entries])
    faults = [f"{e['file']}: {fault}" for e, line in zip(entries, lines, strict=True) if (fault := check(e, line))]
    print(f"{len(entries)} hostile files, {len(faults)} faults", *faults, sep="\n")
    return bool(faults)


def zugferd(celeriac, dataset):
    folder = dataset / "dev" / "zugferd"
    with tempfile.TemporaryDirectory() as scratch:
        predictions, report = pathlib.Path(scratch) / "p.jsonl", pathlib.Path(scratch) / "r.json"
        extract(celeriac, [folder / "pdf"], "--no-embedded-xml", "--out", str(predictions))
        subprocess.run([sys.executable, str(dataset / "score_extraction.py"), str(predictions), str(folder / "labels.jsonl"),
                        "--json", str(report)], check=True)
        key = json.loads(report.read_text())["doc_accuracy"]["key"]
    return key < THRESHOLD


def main():
    what, celeriac, source = sys.argv[1:4]
    dataset = pathlib.Path(os.environ.get("CELERIAC_DATASET") or pathlib.Path(source).parent / "shared" / "dataset")
    if not (dataset / "hostile" / "index.json").exists():
        print(f"no documents in {dataset}")
        return 77
    return int({"hostile": hostile, "zugferd": zugferd}[what](celeriac, dataset))


if __name__ == "__main__":
    sys.exit(main())
