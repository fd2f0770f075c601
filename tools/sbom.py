#!/usr/bin/env python3
"""Lists what a release is made of: one CycloneDX 1.6 file for each program.

    tools/sbom.py --out target/sbom
    tools/sbom.py --out target/sbom --target aarch64-unknown-linux-gnu --features nephrobox/cuda
    tools/sbom.py --out target/sbom --validate      # needs: pip install 'cyclonedx-python-lib[json-validation]'
    tools/sbom.py --out target/sbom --programs-only # without the model, as the Debian packages of the programs are

Written here because `cargo cyclonedx` takes features from the whole workspace: it would list Burn in the box, which does not contain it. This asks
`cargo tree` for one program with the features it is built with: crates that are linked, without procedural macros and build scripts. Hashes are those of
Cargo.lock. The bundled model is a component too, with its hash and the conditions of models/LICENSE.md.

The same commit gives the same bytes: the time is SOURCE_DATE_EPOCH, else the commit's, and the serial number follows from the content.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Each program, and the files beside it that its releases carry.
PROGRAMS = {
    "nephrobox": ["models/demo-resnet18.nbx"],
    "nephroctl": [],
    "nephrotrain": [],
}
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def call(*command):
    """What a command prints; its errors go through, and end this program."""
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def moment():
    """When the release was made, as far as its source says."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or call("git", "log", "-1", "--format=%ct")
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def packages(target):
    """Metadata and checksum of each package that a target may need, by name and version."""
    found = json.loads(call("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target))["packages"]
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {(one["name"], one["version"]): one.get("checksum") for one in lock}
    return {(one["name"], one["version"]): (one, sums[one["name"], one["version"]]) for one in found}


def own(program, features):
    """Of the features that were named, those of this program."""
    return [one for one in features if one.split("/", 1)[0] == program]


def tree(program, target, features):
    """The crates in a program and what each needs, as cargo resolves them for it alone."""
    command = ["cargo", "tree", "--locked", "-p", program, "-e", "normal,no-proc-macro"]
    command += ["--target", target, "--prefix", "depth", "--format", " {p}"]
    wanted = [one.split("/", 1)[1] for one in own(program, features)]
    if wanted:
        command += ["--features", ",".join(wanted)]
    needs, path = {}, []
    for line in call(*command).splitlines():
        depth, name, version = re.match(r"(\d+) (\S+) v(\S+)", line).groups()
        del path[int(depth):]
        if path:
            needs[path[-1]].add((name, version))
        path.append((name, version))
        needs.setdefault((name, version), set())
    return needs


def licences(package):
    """A crate's licence as an SPDX expression; of one that has only a file, its name."""
    if package["license"]:
        # The old way of writing OR, which some crates still have.
        return [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    return [{"license": {"name": f"see {package['license_file']} of the crate"}}]


def purl(name, version):
    return f"pkg:cargo/{name}@{version}"


def crate(package, checksum):
    name, version = package["name"], package["version"]
    part = {
        "type": "library",
        "bom-ref": purl(name, version),
        "name": name,
        "version": version,
        "purl": purl(name, version),
        "licenses": licences(package),
    }
    if package["description"]:
        part["description"] = " ".join(package["description"].split())
    if checksum:
        part["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    elif package["source"] is not None:
        sys.exit(f"error: {name} {version} has no checksum in Cargo.lock")
    if package["source"] not in (None, REGISTRY):
        sys.exit(f"error: {name} {version} comes from {package['source']} and not from crates.io")
    return part


def model(path):
    """A bundled model: what it is and on which conditions it may be used."""
    for line in (ROOT / "models/LICENSE.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] == f"`{pathlib.Path(path).name}`":
            _, trained_on, conditions = cells
            break
    else:
        sys.exit(f"error: models/LICENSE.md has no line for {path}")
    identifier = re.search(r"\((CC [A-Z-]+ [0-9.]+)\)$", conditions).group(1).replace(" ", "-")
    digest = hashlib.sha256((ROOT / path).read_bytes()).hexdigest()
    return {
        "type": "machine-learning-model",
        "bom-ref": f"file:{path}",
        "name": pathlib.Path(path).stem,
        "version": digest[:16],
        "description": f"Trained on {trained_on}. Conditions: {conditions.replace('**', '')}. For research use only.",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"id": identifier}}],
    }


def bill(program, target, features, known, models):
    needs = tree(program, target, features)
    root = next(key for key in needs if key[0] == program)
    about = crate(*known[root]) | {"type": "application"}
    parts = [crate(*known[key]) for key in sorted(needs) if key != root]
    models = [model(path) for path in models]
    depends = [{"ref": purl(*key), "dependsOn": sorted(purl(*one) for one in needs[key])} for key in sorted(needs)]
    for one in depends:
        if one["ref"] == purl(*root):
            one["dependsOn"] = sorted(one["dependsOn"] + [part["bom-ref"] for part in models])
    depends += [{"ref": part["bom-ref"]} for part in models]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment(),
            "component": about,
            "properties": [
                {"name": "nephrobox:target", "value": target},
                {"name": "nephrobox:features", "value": " ".join(own(program, features)) or "none"},
                {"name": "nephrobox:commit", "value": call("git", "rev-parse", "HEAD").strip()},
            ],
        },
        "components": parts + models,
        "dependencies": depends,
    }
    same = json.dumps(content, sort_keys=True)
    return content | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, same)}"}


def validate(text, name):
    """Judges by the schema of CycloneDX, which the library of its makers carries."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        sys.exit(f"error: {name} breaks the schema of CycloneDX 1.6: {problem}")


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--out", type=pathlib.Path, required=True, help="folder for PROGRAM.cdx.json")
    usage.add_argument("--target", default="x86_64-unknown-linux-gnu", help="what the release is built for")
    usage.add_argument("--features", nargs="*", default=[], metavar="PROGRAM/FEATURE", help="what it is built with")
    usage.add_argument("--programs-only", action="store_true", help="without the models that a release has beside its programs")
    usage.add_argument("--validate", action="store_true", help="check against the schema, with cyclonedx-python-lib")
    options = usage.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    known = packages(options.target)
    for program, models in PROGRAMS.items():
        content = bill(program, options.target, options.features, known, [] if options.programs_only else models)
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        if options.validate:
            validate(text, program)
        place = options.out / f"{program}.cdx.json"
        beside = place.with_suffix(".new")
        beside.write_text(text)
        beside.rename(place)
        judged = ", valid" if options.validate else ""
        print(f"{place}: {len(content['components'])} components{judged}")


if __name__ == "__main__":
    main()
