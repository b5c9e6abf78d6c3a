#include "theory/questions/q5_contrasts.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/rows/curve.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Trunks of the main arm by size, seed and bits; trunks of one model by its arm and name too.
using CurveKey = std::tuple<std::string, std::string, double, std::int64_t, double>;

constexpr const char* main_arm = "main";

/// The main trunk at this size, whatever its model is called.
constexpr const char* any_model = "";

bool is_trunk(const Subject& s) { return s.kind == Kind::trunk && s.variant == "trunk"; }

double bits_of(const Subject&) { return 0; }
double bits_of(const PtqRow& r) { return r.P; }

/// Where a row lies along its curve; more training lies to the right.
double place_of(const SharpnessRow& r, Peer) { return std::log(r.D); }
double place_of(const PtqRow& r, Peer peer) { return peer == Peer::equal_tokens ? std::log(r.D) : -r.loss; }

/// Curves of one quantity over all trunks.
template <class Row, class Value>
std::map<CurveKey, Curve> trunk_curves(const std::vector<Row>& rows, Peer peer, Value&& value) {
  std::map<CurveKey, Curve> curves;
  for (const Row& r : rows) {
    if (!is_trunk(r)) continue;
    curves[{r.arm, r.model, r.N, r.seed, bits_of(r)}].add(place_of(r, peer), value(r));
    // A model without a name is found under the same key; it may not count twice.
    if (r.arm == "main" && r.model != any_model)
      curves[{r.arm, any_model, r.N, r.seed, bits_of(r)}].add(place_of(r, peer), value(r));
  }
  return curves;
}

/// The base of a row: its own trunk for what left it, the main trunk for the trunk of another arm.
template <class Row>
double base_of(const std::map<CurveKey, Curve>& curves, const Row& r, Peer peer,
               double (Curve::*read)(double) const = &Curve::at) {
  const CurveKey key = is_trunk(r) ? CurveKey{"main", any_model, r.N, r.seed, bits_of(r)}
                                   : CurveKey{r.arm, r.model, r.N, r.seed, bits_of(r)};
  const auto curve = curves.find(key);
  return curve == curves.end() ? nan : (curve->second.*read)(place_of(r, peer));
}

bool is_base(const Subject& s) { return is_trunk(s) && s.arm == "main"; }

}  // namespace

bool is_comparable(const Subject& s) {
  const bool is_of_kind = s.kind == Kind::trunk || s.kind == Kind::cooldown || s.kind == Kind::average;
  return is_of_kind && s.is_full_precision() && is_settled(s);
}

ArmNames::ArmNames(const std::vector<PtqRow>& rows) {
  for (const PtqRow& r : rows)
    if (is_base(r) && std::none_of(main_.begin(), main_.end(), [&](const Subject& s) { return s.N == r.N; }))
      main_.push_back(r);
}

const Subject* ArmNames::main_of(const Subject& s) const {
  const auto base = std::find_if(main_.begin(), main_.end(), [&](const Subject& m) { return m.N == s.N; });
  return base == main_.end() ? nullptr : &*base;
}

bool ArmNames::is_contrast(const Subject& s) const {
  const Subject* base = main_of(s);
  if (base != nullptr && s.data != base->data) return false;
  if (!is_trunk(s)) return true;
  if (s.arm == main_arm) return false;
  if (base == nullptr) return true;
  const Recipe own = recipe_of(s), main = recipe_of(*base);
  return own.shape == main.shape && own.training != main.training;
}

std::vector<ArmNames::Difference> ArmNames::differences_of(const Subject& s) const {
  std::vector<Difference> list;
  const Subject* base = main_of(s);
  if (base == nullptr) return list;
  const auto differs = [](double a, double b) { return std::abs(a - b) > 1e-9 * std::abs(b); };
  const auto add = [&](Change change, const char* key, const char* words, double value) {
    const std::string number = fmt::format("{:.3g}", value);
    list.push_back({change, key + key_word(number), words + number});
  };
  if (base->peak_lr > 0 && differs(s.peak_lr, base->peak_lr))
    add(Change::learning_rate, "lr_x", "learning rate x", s.peak_lr / base->peak_lr);
  if (base->batch > 0 && differs(s.batch, base->batch)) add(Change::batch, "batch_x", "batch x", s.batch / base->batch);
  if (differs(s.weight_decay, base->weight_decay)) add(Change::weight_decay, "decay_", "weight decay ", s.weight_decay);
  if (differs(s.sam_rho, base->sam_rho)) add(Change::sharpness, "sam_", "SAM radius ", s.sam_rho);
  if (differs(s.gradient_penalty, base->gradient_penalty))
    add(Change::sharpness, "penalty_", "gradient penalty ", s.gradient_penalty);
  if (s.train_format != base->train_format)
    list.push_back({Change::number_format, key_word(s.train_format), "trained in " + s.train_format});
  return list;
}

std::string ArmNames::of(const Subject& s) const {
  if (s.arm == main_arm) return s.variant;
  std::string name = s.arm;
  for (const Difference& d : differences_of(s)) name += ", " + d.words;
  return is_trunk(s) ? name : name + ", " + s.variant;
}

std::string ArmNames::key_of(const Subject& s) const {
  if (s.arm == main_arm) return key_word(s.variant);
  std::string key = key_word(s.arm);
  for (const Difference& d : differences_of(s)) key += "_" + d.key;
  return is_trunk(s) ? key : key + "_" + key_word(s.variant);
}

std::set<Change> ArmNames::changes_of(const Subject& s) const {
  std::set<Change> changes;
  if (s.kind == Kind::average) changes.insert(Change::average);
  if (s.kind == Kind::cooldown && s.arm == main_arm)
    changes.insert(s.branch_tokens > 0 ? Change::fixed_cooldown : Change::cooldown);
  if (s.arm == main_arm) return changes;
  if (s.schedule == "cosine") changes.insert(Change::cosine);
  for (const Difference& d : differences_of(s)) changes.insert(d.change);
  return changes;
}

std::vector<Contrast> contrasts_with_trunk(const std::vector<PtqRow>& selected, const ArmNames& names,
                                           const Thresholds& thresholds, Peer peer) {
  const auto delta = trunk_curves(selected, peer, [](const PtqRow& r) { return std::log(r.delta); });
  const auto predicted = trunk_curves(selected, peer, [](const PtqRow& r) { return std::log(r.predicted); });
  const auto variance = trunk_curves(selected, peer, prediction_variance);
  std::map<std::string, Contrast> contrasts;
  for (const PtqRow& r : selected) {
    if (!names.is_contrast(r)) continue;
    Contrast& c = contrasts[names.of(r)];
    c.key = names.key_of(r);
    c.changes.merge(names.changes_of(r));
    const double base = base_of(delta, r, peer), base_predicted = base_of(predicted, r, peer);
    if (!std::isfinite(base) || !std::isfinite(base_predicted)) {
      ++c.unmatched;
      continue;
    }
    c.rows.push_back(r);
    c.delta.push_back(std::log(r.delta) - base);
    c.predicted.push_back(std::log(r.predicted) - base_predicted);
    c.variance.push_back(prediction_variance(r) + base_of(variance, r, peer, &Curve::variance_at));
    // The trunk's own error is taken as large as that of the row.
    const double relative = r.delta_se / r.predicted;
    c.sigma.push_back(combined_sigma({relative, relative}, thresholds.fit_scatter));
  }
  std::vector<Contrast> list;
  for (auto& [name, contrast] : contrasts) {
    contrast.name = name;
    list.push_back(std::move(contrast));
  }
  return list;
}

namespace {

/// Coordinates of a scheme that leave the function as it is, and what the contrast with the given ones is called.
struct OtherCoordinates {
  const char* scheme;
  const char* name;
  Change change;
};
constexpr OtherCoordinates other_coordinates[] = {{"rotate+rtn", "rotated", Change::rotation},
                                                  {"smooth+rtn", "rescaled", Change::rescaling}};

/// Rows of one scheme as rows of damage, so that one selection serves all.
std::vector<PtqRow> rows_of(const std::vector<SchemeRow>& schemes, const std::string& scheme,
                            const Thresholds& thresholds) {
  std::vector<PtqRow> rows;
  for (const SchemeRow& s : schemes) {
    if (s.scheme != scheme) continue;
    PtqRow r;
    static_cast<Subject&>(r) = s;
    r.P = s.P, r.delta = s.delta, r.delta_se = s.delta_se, r.predicted = s.quadratic, r.gradient = s.gradient;
    rows.push_back(r);
  }
  Dropped ignored;
  return select_predicted(rows, is_comparable, thresholds, ignored);
}

}  // namespace

std::vector<Contrast> contrasts_of_coordinates(const std::vector<SchemeRow>& schemes, const Thresholds& thresholds) {
  std::map<std::tuple<std::string, double, double>, PtqRow> given;
  for (const PtqRow& r : rows_of(schemes, "rtn", thresholds)) given.emplace(std::tuple{r.run, r.D, r.P}, r);
  std::vector<Contrast> contrasts;
  for (const OtherCoordinates& other : other_coordinates) {
    Contrast c;
    c.key = c.name = other.name;
    c.changes = {other.change};
    for (const PtqRow& r : rows_of(schemes, other.scheme, thresholds)) {
      const auto base = given.find({r.run, r.D, r.P});
      if (base == given.end()) {
        ++c.unmatched;
        continue;
      }
      c.rows.push_back(r);
      c.delta.push_back(std::log(r.delta / base->second.delta));
      c.predicted.push_back(std::log(r.predicted / base->second.predicted));
      c.variance.push_back(0);  // e'He of the errors that were made draws no probes
      c.sigma.push_back(combined_sigma({r.delta_se / r.predicted, base->second.delta_se / base->second.predicted},
                                       thresholds.fit_scatter));
    }
    if (!c.rows.empty()) contrasts.push_back(std::move(c));
  }
  return contrasts;
}

std::vector<TraceContrast> trace_contrasts(const std::vector<SharpnessRow>& all, const ArmNames& names) {
  std::vector<SharpnessRow> rows;
  for (const SharpnessRow& r : all)
    if (r.is_transformer() && is_comparable(r) && r.trace > 0 && std::isfinite(r.trace) && r.D > 0) rows.push_back(r);
  const auto curves = trunk_curves(rows, Peer::equal_tokens, [](const SharpnessRow& r) { return std::log(r.trace); });
  std::map<std::string, TraceContrast> contrasts;
  for (const SharpnessRow& r : rows) {
    if (!names.is_contrast(r)) continue;
    const double base = base_of(curves, r, Peer::equal_tokens);
    if (!std::isfinite(base)) continue;
    TraceContrast& c = contrasts[names.of(r)];
    c.key = names.key_of(r);
    c.rows.push_back(r);
    c.change.push_back(std::log(r.trace) - base);
  }
  std::vector<TraceContrast> list;
  for (auto& [name, contrast] : contrasts) {
    contrast.name = name;
    list.push_back(std::move(contrast));
  }
  return list;
}

}  // namespace hone::theory
