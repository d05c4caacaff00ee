"""``python -m proxy.demo``, the same as ``orchtax demo``."""

import sys

from proxy.demo.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
