"""What of a run file the figures read: schema.json, the output of `hone schema --json`."""

import json
from pathlib import Path

_SCHEMA = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))

SCHEMA_VERSION = _SCHEMA["schema_version"]
VERDICT_SCHEMA = 4

# Dimensions of every array; the first one that is met fixes a length.
DIMENSIONS = {group: {name: tuple(field["dims"]) for name, field in facts["fields"].items()
                      if "dims" in field}
              for group, facts in _SCHEMA["groups"].items()}
DIMENSIONS = {group: fields for group, fields in DIMENSIONS.items() if fields}
TEXTS = {(group, name) for group, facts in _SCHEMA["groups"].items()
         for name, field in facts["fields"].items() if field["type"] == "text"}
# Arrays without which a group cannot be drawn.
COORDINATES = {"checkpoints": ("tokens", "variant", "kind"), "ptq": ("bits",), "shift": ("bits",),
               "noise": ("subspace",),
               "factorial": ("w_bits", "a_bits", "kv_bits"), "schemes": ("scheme", "bits"),
               "schemes_along": ("scheme", "bits"),
               "decode": ("policy", "first", "last"), "decode_copy": ("policy", "distance"),
               "decode_free": ("policy",), "decode_schedules": ("schedule",)}
MANIFEST_NEEDED = ("run_id", "architecture", "model_params", "seed")
