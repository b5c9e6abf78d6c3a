#include "experiments/study/scheme.hpp"

#include <algorithm>
#include <cctype>
#include <limits>

#include "experiments/study/build.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

struct NamedRule {
  const char* name;
  RoundingRule rule;
  AllocationScore score = AllocationScore::trace;
};
constexpr NamedRule rules[] = {{"rtn", RoundingRule::nearest},
                               {"mse", RoundingRule::mse},
                               {"gptq", RoundingRule::gptq},
                               {"guided", RoundingRule::guided},
                               {"lnq", RoundingRule::lnq},
                               {"awq", RoundingRule::awq},
                               {"mixed-trace", RoundingRule::mixed, AllocationScore::trace},
                               {"mixed-fisher", RoundingRule::mixed, AllocationScore::fisher},
                               {"mixed-fisher-rows", RoundingRule::mixed, AllocationScore::fisher_rows},
                               {"mixed-output", RoundingRule::mixed, AllocationScore::output},
                               {"mixed-share", RoundingRule::mixed, AllocationScore::share}};

struct NamedFormat {
  const char* name;
  Format format;
  ScaleKind scale;
  Index group;  ///< 0: per row
};
constexpr NamedFormat formats[] = {{"nf4", Format::nf4, ScaleKind::real, 64},
                                   {"nf4-dq", Format::nf4, ScaleKind::double_quantized, 64},
                                   {"fp8", Format::e4m3, ScaleKind::real, 0},
                                   {"mxfp4", Format::e2m1, ScaleKind::e8m0, 32},
                                   {"mxfp6", Format::e3m2, ScaleKind::e8m0, 32},
                                   {"mxfp8", Format::e4m3, ScaleKind::e8m0, 32},
                                   {"nvfp4", Format::e2m1, ScaleKind::e4m3_two_level, 16},
                                   {"ternary", Format::ternary, ScaleKind::real, -1}};

Quantizer quantizer_of(const NamedFormat& f) {
  Quantizer q;
  q.format = f.format;
  q.scale = f.scale;
  q.granularity = f.group > 0 ? Granularity::group : f.group == 0 ? Granularity::row : Granularity::tensor;
  q.group = std::max<Index>(f.group, 0);
  return q;
}

/// Whether a name is written as a minifloat's, such as e3m4; format_from_name says whether there is one.
bool is_minifloat_name(const std::string& name) {
  return name.size() >= 4 && name[0] == 'e' && std::isdigit(static_cast<unsigned char>(name[1])) && name[2] == 'm';
}

bool take_prefix(std::string& text, const std::string& prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

}  // namespace

std::vector<std::string> scheme_names() {
  std::vector<std::string> names;
  for (const char* coordinates : {"", "smooth+", "rotate+"}) {
    for (const NamedRule& r : rules) names.push_back(std::string(coordinates) + r.name);
    for (const NamedFormat& f : formats) names.push_back(std::string(coordinates) + f.name);
  }
  return names;
}

Scheme scheme_from_name(const std::string& name) {
  Scheme scheme;
  scheme.name = name;
  std::string rule = name;
  if (take_prefix(rule, "smooth+"))
    scheme.coordinates = Coordinates::smoothed;
  else if (take_prefix(rule, "rotate+"))
    scheme.coordinates = Coordinates::rotated;
  for (const NamedRule& r : rules)
    if (rule == r.name) {
      scheme.rule = r.rule, scheme.score = r.score;
      return scheme;
    }
  for (const NamedFormat& f : formats)
    if (rule == f.name) {
      scheme.rule = RoundingRule::format, scheme.format = quantizer_of(f);
      return scheme;
    }
  if (is_minifloat_name(rule)) {
    scheme.rule = RoundingRule::format,
    scheme.format = quantizer_of({nullptr, format_from_name(rule), ScaleKind::real, 0});
    return scheme;
  }
  throw OptionError(
      fmt::format("quantize.schemes: \"{}\" is unknown; did you mean \"{}\"? (hone quantize --help lists them)", name,
                  nearest_name(name, scheme_names())));
}

void Scheme::check(const QuantizeSpec& spec) const {
  if (spec.rounding == name_of(Rounding::stochastic) && rule != RoundingRule::nearest && rule != RoundingRule::mse)
    throw OptionError(
        fmt::format("quantize.rounding = stochastic with the scheme \"{}\", which chooses its roundings itself; use "
                    "the schemes rtn "
                    "and mse, or nearest_even",
                    name));
  if (!has_ladder()) return;
  const bool is_calibrated = rule == RoundingRule::gptq || rule == RoundingRule::guided || rule == RoundingRule::awq;
  const auto refuse = [&](std::int64_t bits, const char* why) {
    throw OptionError(fmt::format("quantize.scheme_bits = {} with the scheme \"{}\": {}", bits, name, why));
  };
  for (std::int64_t bits : spec.scheme_bits) {
    weight_quantizer(spec, int(bits)).validate("quantize.scheme_bits");
    if (bits > 15 && is_calibrated) refuse(bits, "it quantizes nothing; use 15 bits or fewer, or the scheme rtn");
    if (rule == RoundingRule::lnq && bits > 8) refuse(bits, "a codebook has at most 8 bits");
    if (rule == RoundingRule::mixed && (bits < 2 || bits > 8)) refuse(bits, "widths are chosen from 2 to 8 bits");
  }
  if ((rule == RoundingRule::gptq || rule == RoundingRule::guided) &&
      scale_kind_from_name(spec.scale) == ScaleKind::double_quantized)
    throw OptionError(
        fmt::format("quantize.scale = double_quantized with the scheme \"{}\", which needs the steps before the first "
                    "weight is rounded; use fp16_stored, or the scheme rtn",
                    name));
  if (rule == RoundingRule::guided && spec.granularity == "tensor")
    throw OptionError(
        fmt::format("quantize.granularity = tensor with the scheme \"{}\": its rows are worked apart; use "
                    "row or group",
                    name));
}

std::vector<std::int64_t> Scheme::widths(const std::vector<std::int64_t>& ladder, const ParamLayout& layout) const {
  if (!has_ladder()) return {16};
  if (rule != RoundingRule::lnq) return ladder;
  Index narrowest = std::numeric_limits<Index>::max();
  for (const ParamBlock& block : layout.blocks())
    if (block.is_quantizable()) narrowest = std::min(narrowest, block.cols);
  std::vector<std::int64_t> kept;
  std::copy_if(ladder.begin(), ladder.end(), std::back_inserter(kept),
               [&](std::int64_t bits) { return (Index(1) << bits) <= narrowest; });
  return kept;
}

}  // namespace hone::experiments
