#!/usr/bin/env python3
"""Writes which libraries a built entropix links, with versions and licences, as SPDX 2.3 JSON.

    tools/sbom.py PROGRAM OUTPUT

The libraries are those that the program names itself (DT_NEEDED); versions are those of the Debian packages that own
the files, where dpkg is there. The creation time is SOURCE_DATE_EPOCH, or else that of the program's file.
"""
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys

# soname without version: name, licence
LICENCES = {
    "libjansson": ("jansson", "MIT"),
    "libmicrohttpd": ("libmicrohttpd", "LGPL-2.1-or-later"),
    "libgnutls": ("gnutls", "LGPL-2.1-or-later"),
    "libpcre2-8": ("pcre2", "BSD-3-Clause"),
    "libutf8proc": ("utf8proc", "MIT"),
    "libedit": ("libedit", "BSD-3-Clause"),
    "librsvg-2": ("librsvg", "LGPL-2.1-or-later"),
    "libcairo": ("cairo", "LGPL-2.1-only OR MPL-1.1"),
    "libgobject-2.0": ("glib", "LGPL-2.1-or-later"),
    "libglib-2.0": ("glib", "LGPL-2.1-or-later"),
    "libgio-2.0": ("glib", "LGPL-2.1-or-later"),
    "libgdk_pixbuf-2.0": ("gdk-pixbuf", "LGPL-2.1-or-later"),
    "libc": ("glibc", "LGPL-2.1-or-later"),
    "libm": ("glibc", "LGPL-2.1-or-later"),
    "ld-linux-x86-64": ("glibc", "LGPL-2.1-or-later"),
}


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def debian_package(path):
    """Name and version of the package that owns a file, or nothing."""
    for candidate in (path, os.path.realpath(path), os.path.realpath(path).removeprefix("/usr")):
        owner = output_of("dpkg-query", "-S", candidate)
        if owner:
            package = owner.split(": ")[0].split(",")[0]
            return package.split(":")[0], output_of("dpkg-query", "-W", "-f", "${Version}", package)
    return None


def package(identifier, name, version, licence, **more):
    return {"SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", identifier), "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION",
            "licenseDeclared": licence, "copyrightText": "NOASSERTION", **more}


def library(soname, path):
    name, licence = LICENCES.get(soname.split(".so")[0], (soname.split(".so")[0], "NOASSERTION"))
    owner = debian_package(path) if path else None
    made = package(soname, name, owner[1] if owner else "NOASSERTION", licence, packageFileName=soname)
    if owner:
        made["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                 "referenceLocator": f"pkg:deb/debian/{owner[0]}@{owner[1]}"}]
    return made


def main(program, output):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", program))
    if not needed:
        sys.exit(f"{program} names no library; is it a linked program, and is readelf there?")
    paths = dict(re.findall(r"^\s*(\S+) => (/\S+)", output_of("ldd", program), re.M))
    with open(program, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    with open(os.path.join(root, "include", "entropix.h"), encoding="utf-8") as file:
        version = re.search(r'#define EX_VERSION "(.*)"', file.read()).group(1)
    with open(os.path.join(root, "LICENSE"), encoding="utf-8") as file:
        licence = "MIT" if file.read(100).startswith("MIT License") else "NOASSERTION"
    own = package("entropix", "entropix", version, licence, checksums=[{"algorithm": "SHA256", "checksumValue": digest}])
    libraries = [library(soname, paths.get(soname)) for soname in sorted(needed)]
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", os.stat(program).st_mtime))
    created = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"])]
    relations += [(own["SPDXID"], "DYNAMIC_LINK", made["SPDXID"]) for made in libraries]
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"entropix-{version}",
        "documentNamespace": f"urn:entropix:{version}:{digest}",
        "creationInfo": {"created": created, "creators": ["Tool: tools/sbom.py"]},
        "packages": [own, *libraries],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }
    with open(output, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: tools/sbom.py PROGRAM OUTPUT")
    main(sys.argv[1], sys.argv[2])
