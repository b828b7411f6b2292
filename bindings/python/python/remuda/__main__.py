"""`python -m remuda conform ./libnpu.so`: whether a provider library keeps to the contract."""

import argparse
import sys

from remuda._core import conform
from remuda._errors import InputError


def option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("expected `key=value`")
    return key, value


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m remuda")
    commands = parser.add_subparsers(dest="command", required=True)
    text = "try whether a provider library keeps to the contract"
    kit = commands.add_parser("conform", help=text, description=text)
    kit.add_argument("library", help="the provider library, or `cpu`")
    kit.add_argument("--option", type=option, action="append", default=[], metavar="KEY=VALUE")
    kit.add_argument("--only", action="append", default=[], metavar="CASE")
    kit.add_argument("--skips", metavar="FILE", help="the provider's conformance.toml")
    kit.add_argument("--deadline", type=int, default=60, metavar="SECONDS")
    return parser


def main() -> int:
    asked = parser().parse_args()
    try:
        report, conforms = conform(
            asked.library, asked.option, asked.only, asked.skips, asked.deadline
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report, end="")
    return 0 if conforms else 1


if __name__ == "__main__":
    sys.exit(main())
