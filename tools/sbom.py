#!/usr/bin/env python3
"""Writes which libraries a built entropix needs, with versions and licences, as CycloneDX 1.5 JSON.

    tools/sbom.py PROGRAM OUTPUT

The libraries are those that the system's loader finds for the program, theirs included, and librsvg where the program
loads it for pictures. Versions are those of the Debian or RPM packages that own the files, or else what the file's name
says. The same program on the same system gives the same bytes: there is a time only where SOURCE_DATE_EPOCH says one.
"""
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys

LGPL_3 = "LGPL-3.0-or-later OR GPL-2.0-or-later"
# soname without version: project, licence of the library as an SPDX expression
LIBRARIES = {
    "ld-linux-aarch64": ("glibc", "LGPL-2.1-or-later"),
    "ld-linux-x86-64": ("glibc", "LGPL-2.1-or-later"),
    "libbsd": ("libbsd", "BSD-3-Clause AND BSD-2-Clause AND ISC"),
    "libc": ("glibc", "LGPL-2.1-or-later"),
    "libdl": ("glibc", "LGPL-2.1-or-later"),
    "libedit": ("libedit", "BSD-3-Clause"),
    "libffi": ("libffi", "MIT"),
    "libgcc_s": ("gcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "libgmp": ("gmp", LGPL_3),
    "libgnutls": ("gnutls", "LGPL-2.1-or-later"),
    "libhogweed": ("nettle", LGPL_3),
    "libidn2": ("libidn2", f"({LGPL_3}) AND Unicode-DFS-2016"),
    "libjansson": ("jansson", "MIT"),
    "libm": ("glibc", "LGPL-2.1-or-later"),
    "libmd": ("libmd", "BSD-3-Clause AND BSD-2-Clause AND ISC AND Beerware"),
    "libmicrohttpd": ("libmicrohttpd", "LGPL-2.1-or-later"),
    "libnettle": ("nettle", LGPL_3),
    "libp11-kit": ("p11-kit", "BSD-3-Clause"),
    "libpcre2-8": ("pcre2", "BSD-3-Clause WITH PCRE2-exception"),
    "libpthread": ("glibc", "LGPL-2.1-or-later"),
    "librsvg-2": ("librsvg", "LGPL-2.1-or-later"),
    "libtasn1": ("libtasn1", "LGPL-2.1-or-later"),
    "libtinfo": ("ncurses", "X11-distribute-modifications-variant"),
    "libunistring": ("libunistring", LGPL_3),
    "libutf8proc": ("utf8proc", "MIT AND Unicode-DFS-2015"),
    "libz": ("zlib", "Zlib"),
    "libzstd": ("zstd", "BSD-3-Clause"),
}
LOADED_LATER = ["librsvg-2.so.2"]


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def linked(program):
    """{soname: path} of everything that the loader finds."""
    rows = re.findall(r"^\s*(\S+\.so\S*)(?: => (/\S+))? \(0x", output_of("ldd", program), re.M)
    return {os.path.basename(name): path or name for name, path in rows if not name.startswith("linux-vdso")}


def loaded_later(program):
    with open(program, "rb") as file:
        contents = file.read()
    found = dict(re.findall(r"^\s*(\S+) \(.*\) => (/\S+)", output_of("/sbin/ldconfig", "-p"), re.M))
    return {name: found[name] for name in LOADED_LATER if name.encode() in contents and name in found}


def owner(path):
    """purl type, name and version of the package that owns a file, or nothing."""
    real = os.path.realpath(path)
    for candidate in (path, real, real.removeprefix("/usr"), "/usr" + path):
        owned = output_of("dpkg-query", "-S", candidate)
        if owned:
            name = owned.split(": ")[0].split(",")[0].split(":")[0]
            return "deb/debian", name, output_of("dpkg-query", "-W", "-f", "${Version}\n", name).split("\n")[0]
    owned = output_of("rpm", "-qf", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n", path).split()
    return ("rpm/redhat", *owned[:2]) if len(owned) >= 2 else None


def licences(stem, package):
    if stem in LIBRARIES:
        return [{"expression": LIBRARIES[stem][1]}]
    try:
        with open(f"/usr/share/doc/{package}/copyright", encoding="utf-8") as file:
            names = re.findall(r"^License: *(\S.*)$", file.read(), re.M)
    except OSError:
        names = []
    return [{"license": {"name": name}} for name in sorted(set(names))] or [{"license": {"name": "unknown"}}]


def component(soname, path, scope):
    stem = soname.split(".so")[0]
    of_package = owner(path)
    of_name = os.path.realpath(path).rpartition(".so.")[2] or "unknown"
    made = {"type": "library", "bom-ref": soname, "name": LIBRARIES.get(stem, (stem,))[0],
            "version": of_package[2] if of_package else of_name, "scope": scope,
            "licenses": licences(stem, of_package[1] if of_package else stem),
            "properties": [{"name": "entropix:soname", "value": soname}]}
    if of_package:
        made["purl"] = "pkg:{}/{}@{}".format(*of_package)
    return made


def needed(path, known):
    names = re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", path))
    return sorted({name for name in names if name in known})


def of_source():
    """Version and licence of entropix itself."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    with open(os.path.join(root, "include", "entropix.h"), encoding="utf-8") as file:
        version = re.search(r'#define EX_VERSION "(.*)"', file.read()).group(1)
    with open(os.path.join(root, "LICENSE"), encoding="utf-8") as file:
        first = file.readline().strip()
    return version, {"license": {"id": "MIT"} if first == "MIT License" else {"name": first}}


def main(program, output):
    libraries, later = linked(program), loaded_later(program)
    if not libraries:
        sys.exit(f"{program} names no library; is it a linked program, and is ldd there?")
    everything = {**libraries, **later}
    version, licence = of_source()
    with open(program, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    metadata = {"component": {"type": "application", "bom-ref": "entropix", "name": "entropix", "version": version,
                              "licenses": [licence], "hashes": [{"alg": "SHA-256", "content": digest}]}}
    if "SOURCE_DATE_EPOCH" in os.environ:
        moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
        metadata["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    graph = [("entropix", sorted({*needed(program, everything), *later}))]
    graph += [(soname, needed(everything[soname], everything)) for soname in sorted(everything)]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.5",
        "version": 1, "metadata": metadata,
        "components": [component(soname, path, "required" if soname in libraries else "optional")
                       for soname, path in sorted(everything.items())],
        "dependencies": [{"ref": name, "dependsOn": of} for name, of in graph],
    }
    with open(output, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: tools/sbom.py PROGRAM OUTPUT")
    main(sys.argv[1], sys.argv[2])
