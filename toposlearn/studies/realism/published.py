"""What is published of real people, and the rows of the table: the contents of ``published.yaml``."""

from importlib.resources import files
from typing import Any

import yaml

PUBLISHED: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("published.yaml").read_text(encoding="utf-8"))
