"""These tests need packages of their own (`requirements.txt`): elsewhere they are left out."""

from importlib.util import find_spec

NEEDED = ("jinja2", "gguf", "tokenizers")
collect_ignore_glob = [] if all(map(find_spec, NEEDED)) else ["test_*.py"]
