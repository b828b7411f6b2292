"""`python -m remuda doctor`: what runs models here; `conform ./libnpu.so`: whether a library keeps to the contract."""

from __future__ import annotations

import argparse
import json
import sys

from remuda._core import build_info, conform
from remuda._errors import Error, InputError
from remuda._session import Runtime


def option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("expected `key=value`")
    return key, value


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m remuda")
    commands = parser.add_subparsers(dest="command", required=True)
    text = "show what runs models here, and what came of every provider library"
    doctor = commands.add_parser("doctor", help=text, description=text)
    doctor.add_argument("--plugins", metavar="FILE", help="use this plugins.toml")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    text = "try whether a provider library keeps to the contract"
    kit = commands.add_parser("conform", help=text, description=text)
    kit.add_argument("library", help="the provider library, or `cpu`")
    kit.add_argument("--option", type=option, action="append", default=[], metavar="KEY=VALUE")
    kit.add_argument("--only", action="append", default=[], metavar="CASE")
    kit.add_argument("--skips", metavar="FILE", help="the provider's conformance.toml")
    kit.add_argument("--deadline", type=int, default=60, metavar="SECONDS")
    return parser


def run_doctor(asked: argparse.Namespace) -> int:
    """1 where a library that should work does not, 2 where nothing does."""
    try:
        runtime = Runtime(["cpu"], plugins=asked.plugins)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    devices, libraries = runtime.devices(), runtime.libraries()
    if asked.json:
        about = {**build_info(), "threads": runtime.threads}
        print(json.dumps({**about, "devices": devices, "libraries": libraries}, indent=2))
    else:
        info = build_info()
        print(f"remuda {info['version']} for {info['target']}, {runtime.threads} threads")
        print("\ndevices")
        for device in devices:
            names = f"{device['provider']}:{device['kind']}"
            print(f"{names:20} {device['name']}: {device['unusable'] or 'usable'}")
        if libraries:
            print("\nprovider libraries")
        for library in libraries:
            print(library["text"])
    return 1 if any(library["problem"] for library in libraries) else 0


def run_conform(asked: argparse.Namespace) -> int:
    try:
        report, conforms = conform(
            asked.library, asked.option, asked.only, asked.skips, asked.deadline
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report, end="")
    return 0 if conforms else 1


def main() -> int:
    asked = parser().parse_args()
    return run_doctor(asked) if asked.command == "doctor" else run_conform(asked)


if __name__ == "__main__":
    sys.exit(main())
