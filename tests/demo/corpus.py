#!/usr/bin/env python3
"""Gathers the text that the demo model learns from, out of Debian packages with permissive licences.

    python tests/demo/corpus.py FOLDER

Writes FOLDER/{train,validation}.jsonl, one document a line. Documents of kind "chat" are questions and answers made
of WordNet's definitions; documents of kind "text" are prose. A word of WordNet, and a whole page of anything else, is
either in the one file or in the other. Sources and licences: README.md beside this file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ["wordnet-base", "dict-jargon", "python3.11-doc"]
VALIDATION_SHARE = 0.02
DEFINITION_QUESTIONS = [
    "What is {a}?",
    "Define {bare}.",
    "What does {bare} mean?",
    "Explain {bare}.",
]
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


def main() -> int:
    folder = Path(sys.argv[1])
    root = unpack(folder)
    documents = [*definitions(root), *jargon(root), *manuals(root)]
    files = {name: (folder / f"{name}.jsonl").open("w") for name in ("train", "validation")}
    counts = dict.fromkeys(files, 0)
    for key, document in documents:
        name = "validation" if share_of(key) < VALIDATION_SHARE else "train"
        files[name].write(json.dumps(document, ensure_ascii=False) + "\n")
        counts[name] += 1
    print(counts)
    return 0


def unpack(folder: Path) -> Path:
    """Downloads the packages and unpacks them, without installing anything."""
    root, archives = folder / "root", folder / "archives"
    if not root.exists():
        archives.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=archives, check=True)
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
    return root


def share_of(key: str) -> float:
    """A number in 0..1 that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def definitions(root: Path) -> Iterator[tuple[str, dict]]:
    for part in PARTS:
        for line in (root / f"usr/share/wordnet/data.{part}").read_text().splitlines():
            if not line.startswith(" "):
                yield from definition(part, line)


def definition(part: str, line: str) -> Iterator[tuple[str, dict]]:
    """The questions that one set of synonyms answers."""
    fields, _, gloss = line.partition(" | ")
    fields = fields.split()
    words = [clean_word(word) for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
    meaning, examples = split_gloss(gloss)
    if not meaning:
        return
    key = words[0].lower()
    for index, word in enumerate(words[:3]):
        pick = int(share_of(f"{word} {meaning}") * len(DEFINITION_QUESTIONS))
        question = DEFINITION_QUESTIONS[pick].format(a=with_article(word, part), bare=word)
        others = [other for other in words if other != word]
        yield key, chat(question, answer(word, part, meaning, others if index == 0 else []))
    if examples and part != "noun":
        yield key, chat(f"Use {words[0]} in a sentence.", sentence(examples[0]))
    if len(words) > 1 and part == "noun":
        yield key, chat(f"What is another word for {words[0]}?", sentence(words[1]))


def clean_word(word: str) -> str:
    return re.sub(r"\((a|p|ip)\)$", "", word).replace("_", " ")


def split_gloss(gloss: str) -> tuple[str, list[str]]:
    """The meaning, and the example sentences in quotation marks."""
    meaning = re.split(r';\s*"|"', gloss, maxsplit=1)[0].strip().rstrip(";:").strip()
    return meaning, re.findall(r'"([^"]+)"', gloss)


def with_article(word: str, part: str) -> str:
    if part == "verb":
        return f"to {word}"
    if part != "noun" or word[0].isupper():
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def answer(word: str, part: str, meaning: str, others: list[str]) -> str:
    if part == "noun":
        text = f"{with_article(word, part)} is {meaning}"
    elif part == "verb":
        text = f"to {word} is to {meaning}"
    else:
        text = f"{word} means {meaning}"
    if others:
        text += f". It is also called {others[0]}"
    return sentence(text)


def sentence(text: str) -> str:
    text = text.strip()
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def chat(question: str, reply: str) -> dict:
    return {"kind": "chat", "question": question, "answer": reply}


def jargon(root: Path) -> Iterator[tuple[str, dict]]:
    """Entries of the Jargon File: a headword at the margin, its text indented."""
    with gzip.open(root / "usr/share/dictd/jargon.dict.dz", "rt", errors="replace") as file:
        text = file.read()
    for entry in re.split(r"\n(?=\S)", text):
        head, _, body = entry.partition("\n")
        body = re.sub(
            r"[{}]", "", re.sub(r"\s*\n\s+", " ", re.sub(r"\n\s*\n", "\n\n", body))
        ).strip()
        if len(body) > 80 and not head.startswith("00-database"):
            yield head, {"kind": "text", "text": f"{head}\n{body}"}


def manuals(root: Path) -> Iterator[tuple[str, dict]]:
    """Pages of Python's documentation: their prose, without markup and code."""
    for page in sorted((root / "usr/share/doc/python3.11/html/_sources").rglob("*.rst.txt")):
        prose = "\n\n".join(paragraphs(page.read_text()))
        if len(prose) > 200 and "whatsnew" not in page.parts:
            yield str(page.relative_to(root)), {"kind": "text", "text": prose}


def paragraphs(page: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", page):
        plain = block.strip()
        if (
            block.startswith("..")
            or not re.match(r"[A-Z]", plain)
            or not plain.endswith((".", ":", "?"))
        ):
            continue
        plain = re.sub(r":[\w:]+:`~?!?([^`<]+)(?: <[^>]+>)?`", r"\1", plain)
        plain = re.sub(r"`([^`<]+) <[^>]+>`_+", r"\1", plain)
        yield re.sub(r"\s+", " ", plain.replace("``", "").replace("**", "").replace("*", ""))


if __name__ == "__main__":
    sys.exit(main())
