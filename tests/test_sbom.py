"""The list of libraries against what the loader says: python3 test_sbom.py SBOM_TOOL PROGRAM"""
import json
import os
import re
import subprocess
import sys
import tempfile

tool, program = sys.argv[1:]


def written(folder, name, **environment):
    path = os.path.join(folder, name)
    kept = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    subprocess.run([sys.executable, tool, program, path], check=True, env={**kept, **environment})
    with open(path, encoding="utf-8") as file:
        return file.read()


def check(holds, what):
    if not holds:
        sys.exit(f"failed: {what}")


with tempfile.TemporaryDirectory() as folder:
    text = written(folder, "first.json")
    check(text == written(folder, "second.json"), "the same program gives the same bytes")
    dated = json.loads(written(folder, "dated.json", SOURCE_DATE_EPOCH="86400"))
bom = json.loads(text)
check(dated["metadata"].pop("timestamp") == "1970-01-02T00:00:00Z", "the time of SOURCE_DATE_EPOCH")
check(dated == bom, "nothing else depends on the time, and without it there is none")
check((bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.5", 1), "the format")

components = {one["bom-ref"]: one for one in bom["components"]}
check(len(components) == len(bom["components"]), "each library once")
listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
linked = {os.path.basename(name) for name in re.findall(r"^\s*(\S+)(?: => \S+)? \(0x", listing, re.M)}
linked = {name for name in linked if not name.startswith("linux-vdso")}
check(len(linked) > 5, "ldd lists libraries")
check(linked == {name for name, one in components.items() if one["scope"] == "required"}, "what ldd lists is there")
for name, one in components.items():
    check(re.search(r"\d", one["version"]), f"{name} has a version")
    words = [licence.get("expression") or licence["license"]["name"] for licence in one["licenses"]]
    check(words and "unknown" not in words, f"{name} has a licence")
check("PCRE2-exception" in json.dumps(components["libpcre2-8.so.0"]), "the exception of PCRE2")
check("Unicode" in json.dumps([one for one in bom["components"] if one["name"] == "utf8proc"]), "the Unicode data")
refs = set(components) | {"entropix"}
check({one["ref"] for one in bom["dependencies"]} == refs, "each library has its row of dependencies")
check(all(set(one["dependsOn"]) <= refs for one in bom["dependencies"]), "dependencies are in the list")


def texts(value):
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inner for text in texts(one)]


check(not [text for text in texts(bom) if text.startswith("/")], "no path of this machine")
print(f"{len(components)} libraries: ok")
