#include "sim/import/rope_config.hpp"

#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"

namespace hone {
namespace {

using nlohmann::json;

struct Rope {
  double base = 0, share = 0;
  RopeScaling scaling;

  bool operator==(const Rope&) const = default;
};

/// Of `rope`, the object that names the type of scaling. Two rules need no change of frequencies: by a factor of 1, and
/// dynamic within the context of the file.
RopeScaling read_scaling(const JsonFields& rope, const JsonFields& fields, Index positions) {
  RopeScaling scaling;
  const char* name = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.text(name, "default");
  scaling.factor = rope.number({"factor"}, 1.0);
  const bool is_unscaled = type == "default" || (type == "yarn" && scaling.factor == 1);
  if (is_unscaled && scaling.factor != 1) rope.refuse("factor", "1 without a rope_type that scales");
  rope.demand("attention_factor", 1.0, "1");
  if (is_unscaled) return {};
  if (type == "linear" || type == "llama3") rope.number({"factor"}, {});
  if (type == "linear") {
    scaling.rule = RopeScalingRule::linear;
  } else if (type == "llama3") {
    scaling.rule = RopeScalingRule::llama3;
    scaling.low_freq_factor = rope.number({"low_freq_factor"}, {});
    scaling.high_freq_factor = rope.number({"high_freq_factor"}, {});
    const char* original = "original_max_position_embeddings";
    scaling.original_positions = fields.number({original}, rope.number({original}, double(positions)));
  } else if (type == "dynamic") {
    scaling = {.rule = RopeScalingRule::dynamic, .original_positions = double(positions)};
  } else {
    rope.refuse(name, "default, linear, llama3, dynamic, and yarn with factor 1");
  }
  try {
    scaling.validate();
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("{}: {}", rope.origin(), error.what()));
  }
  const bool keeps_frequencies = scaling.rule != RopeScalingRule::dynamic && scaling.factor == 1;
  return keeps_frequencies ? RopeScaling{} : scaling;
}

Rope read_object(const json& object, const std::string& name, const JsonFields& fields, const FamilyRope& family,
                 Index positions) {
  const JsonFields rope(object, fields.origin() + " " + name);
  Rope read;
  read.base = rope.number({"rope_theta"}, fields.number({"rotary_emb_base", "rope_theta"}, 10000.0));
  read.share =
      rope.number({"partial_rotary_factor"}, fields.number({"rotary_pct", "partial_rotary_factor"}, family.share));
  read.scaling = read_scaling(rope, fields, positions);
  return read;
}

/// From whichever of the two objects is there; both must say the same.
Rope read_either(const JsonFields& fields, const FamilyRope& family, Index positions) {
  const auto is_filled = [&](const char* name) {
    return fields.has(name) && fields.object().at(name) != json::object();
  };
  const auto read = [&](const char* name) {
    return read_object(fields.object().at(name), name, fields, family, positions);
  };
  if (!is_filled("rope_scaling") && !is_filled("rope_parameters"))
    return read_object(json::object(), "rope_parameters", fields, family, positions);
  if (!is_filled("rope_scaling")) return read("rope_parameters");
  const Rope older = read("rope_scaling");
  if (is_filled("rope_parameters") && !(read("rope_parameters") == older))
    fields.refuse("rope_scaling", "null, or the same as rope_parameters");
  return older;
}

}  // namespace

void read_rope(const JsonFields& fields, const FamilyRope& family, TransformerOptions& o) {
  const Rope rope = read_either(fields, family, o.positions);
  if (!(rope.base > 1 && rope.base <= 1e12))
    throw OptionError(fmt::format("{}: rope_theta = {} (supported: above 1, to 1e12)", fields.origin(), rope.base));
  if (!family.is_partial && rope.share != 1)
    throw OptionError(
        fmt::format("{}: partial_rotary_factor = {} (supported: 1 in this family, whose programs disagree "
                    "about other values)",
                    fields.origin(), rope.share));
  const Index turned = rope.share > 0 && rope.share <= 1 ? Index(double(o.head_width()) * rope.share) : 0;
  if (turned < 2 || turned % 2 != 0)
    throw OptionError(fmt::format("{}: rotary_pct = {} turns {} of {} channels of a head (supported: an even number)",
                                  fields.origin(), rope.share, turned, o.head_width()));
  o.rope_base = rope.base;
  o.rope_scaling = rope.scaling;
  if (turned != o.head_width()) o.rotary_width = turned;
}

}  // namespace hone
