"""`python -m wizard.cloud.practice FOLDER`: the server process.  `process.practice_cloud` starts it."""

import sys
from pathlib import Path

from wizard.cloud.practice.server import serve

if __name__ == "__main__":
    serve(Path(sys.argv[1]))
