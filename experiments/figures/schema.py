"""What of a run file the figures read: sim/record/SCHEMA.md as tables of names and dimensions."""

SCHEMA_VERSION = 1
VERDICT_SCHEMA = 2

# Dimensions of every array that a figure reads; the first one that is met fixes a length.
DIMENSIONS = {
    "series": {"tokens": ("step",), "loss_nats": ("step",)},
    "checkpoints": {
        "tokens": ("checkpoint",), "variant": ("checkpoint",), "loss_nats": ("checkpoint",),
        "loss_se_nats": ("checkpoint",), "kind": ("checkpoint",), "branched_at": ("checkpoint",),
    },
    "qat": {"loss_nats": ("checkpoint",), "loss_se_nats": ("checkpoint",)},
    "shift": {
        "bits": ("bits",), "loss_nats": ("checkpoint",), "loss_se_nats": ("checkpoint",),
        "delta_nats": ("checkpoint", "bits"), "delta_se_nats": ("checkpoint", "bits"),
    },
    "ptq": {
        "bits": ("bits",), "delta_nats": ("checkpoint", "bits"),
        "delta_se_nats": ("checkpoint", "bits"), "predicted_nats": ("checkpoint", "bits"),
        "predicted_se_nats": ("checkpoint", "bits"), "gradient_nats": ("checkpoint", "bits"),
    },
    "curvature": {
        "lambda": ("checkpoint", "rank"), "trace": ("checkpoint",), "trace_se": ("checkpoint",),
        "slq_node": ("checkpoint", "probe", "node"),
        "slq_weight": ("checkpoint", "probe", "node"),
        "lambda_smallest": ("checkpoint", "rank_smallest"), "atoms": ("checkpoint",),
        "dimension": ("checkpoint",), "certificate": ("certificate",),
        "certificate_value": ("checkpoint", "certificate"),
        "certificate_limit": ("checkpoint", "certificate"),
        "certificate_passed": ("checkpoint", "certificate"),
    },
    "factorial": {
        "w_bits": ("cell",), "a_bits": ("cell",), "kv_bits": ("cell",),
        "delta_nats": ("checkpoint", "cell"), "delta_se_nats": ("checkpoint", "cell"),
    },
    "noise": {
        "subspace": ("subspace",), "energy": ("checkpoint", "amplitude"),
        "delta_nats": ("checkpoint", "subspace", "amplitude"),
        "delta_se_nats": ("checkpoint", "subspace", "amplitude"),
        "predicted_nats": ("checkpoint", "subspace", "amplitude"),
    },
    "schemes": {
        "scheme": ("entry",), "bits": ("entry",), "bits_per_weight": ("entry",),
        "delta_nats": ("entry",), "delta_se_nats": ("entry",), "kl_nats": ("entry",),
        "top1_agreement": ("entry",), "gradient_nats": ("entry",), "quadratic_nats": ("entry",),
        "reference_delta_nats": ("entry",),
    },
    "decode": {
        "policy": ("policy",), "key_bits": ("policy",), "value_bits": ("policy",),
        "first": ("octave",), "last": ("octave",), "delta_nats": ("policy", "octave"),
        "delta_se_nats": ("policy", "octave"), "mean_delta_nats": ("policy",),
        "mean_delta_se_nats": ("policy",),
    },
    "decode_copy": {
        "policy": ("policy",), "distance": ("distance",), "delta_nats": ("policy", "distance"),
        "delta_se_nats": ("policy", "distance"),
    },
    "decode_free": {
        "policy": ("policy",), "key_bits": ("policy",), "value_bits": ("policy",),
        "greedy_agreement": ("policy", "position"),
        "greedy_first_difference": ("policy", "prompt"),
    },
    "decode_schedules": {
        "schedule": ("entry",), "average_bits": ("entry",), "first_bits": ("entry",),
        "last_bits": ("entry",), "mean_delta_nats": ("entry",), "mean_delta_se_nats": ("entry",),
        "to_uniform_nats": ("entry",), "to_uniform_se_nats": ("entry",),
    },
}
TEXTS = {"variant", "kind", "subspace", "certificate", "scheme", "policy", "schedule"}
COORDINATES = {"checkpoints": ("tokens", "variant", "kind"), "ptq": ("bits",), "shift": ("bits",),
               "noise": ("subspace",),
               "factorial": ("w_bits", "a_bits", "kv_bits"), "schemes": ("scheme", "bits"),
               "decode": ("policy", "first", "last"), "decode_copy": ("policy", "distance"),
               "decode_free": ("policy",), "decode_schedules": ("schedule",)}
MANIFEST_NEEDED = ("run_id", "architecture", "model_params", "seed")
