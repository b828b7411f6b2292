"""What a worker process of the runtime is: it does one job with a provider library, and ends.

The runtime starts it by its path, so that a library that crashes or hangs takes this process down and
not the one that wants to use it.
"""

import sys
from pathlib import Path


def main() -> int:
    if not __package__:
        # Run by its path: the package that it belongs to comes first, whatever else is called so.
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from remuda._core import serve_worker

    return 0 if serve_worker() else 2


if __name__ == "__main__":
    sys.exit(main())
