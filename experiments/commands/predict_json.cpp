#include "experiments/commands/predict_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace hone::experiments {
namespace {

using Json = nlohmann::ordered_json;
using theory::FewestBits;
using theory::Interval;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json interval(double estimate, double low, double high) {
  return {{"estimate", number(estimate)}, {"low", number(low)}, {"high", number(high)}};
}
Json interval(const Interval& i) { return interval(i.estimate, i.low, i.high); }
Json interval(const FewestBits& f) { return interval(f.estimate, f.low, f.high); }

/// Bits of an iso-loss table; null where none reaches the loss.
Json iso_bits(const Interval& i) {
  const auto one = [](double bits) { return bits < theory::IsoLoss::never ? number(bits) : Json(nullptr); };
  return {{"estimate", one(i.estimate)}, {"low", one(i.low)}, {"high", one(i.high)}};
}

Json curvature_object(const theory::CurvatureRoute& r) {
  if (r.ladder.empty()) return nullptr;
  Json o{{"run", r.at.run},     {"variant", r.at.variant},     {"N", number(r.at.N)},
         {"D", number(r.at.D)}, {"loss_nats", number(r.loss)}, {"fewest_bits", interval(r.fewest)}};
  o["ladder"] = Json::array();
  for (const auto& s : r.ladder)
    o["ladder"].push_back({{"bits", number(s.P)},
                           {"second_order_nats", number(s.second_order)},
                           {"standard_error_nats", number(s.standard_error)},
                           {"gradient_nats", number(s.gradient)},
                           {"rise_nats", interval(s.rise, s.low, s.high)},
                           {"measured_nats", number(s.measured)},
                           {"measured_se_nats", number(s.measured_se)},
                           {"is_rescaled", s.is_rescaled}});
  return o;
}

Json losses_object(const theory::LawRoute& r) {
  if (!r.loss_problem.empty()) return {{"problem", r.loss_problem}};
  const auto& p = r.training.parameters;
  Json o{{"E", number(p[4])},
         {"A", number(std::exp(p[0]))},
         {"alpha", number(p[1])},
         {"B", number(std::exp(p[2]))},
         {"beta", number(p[3])}};
  o["ladder"] = Json::array();
  for (const auto& s : r.losses)
    o["ladder"].push_back({{"bits", number(s.P)},
                           {"loss_nats", interval(s.loss)},
                           {"critical_tokens", interval(s.critical_tokens)},
                           {"effective_fraction", interval(s.effective_fraction)}});
  Json iso{{"target_nats", number(r.iso.target)},
           {"here", iso_bits(r.iso.here)},
           {"sizes", r.iso.sizes},
           {"tokens", r.iso.tokens}};
  iso["bits"] = Json::array();
  for (const Interval& i : r.iso.bits) iso["bits"].push_back(iso_bits(i));
  o["iso_loss"] = std::move(iso);
  return o;
}

Json law_object(const theory::LawRoute& r) {
  if (!r.problem.empty()) return {{"problem", r.problem}};
  Json o{
      {"law", theory::law(r.kind).name}, {"rows", r.fit.n}, {"checkpoints", r.fit.checkpoints}, {"runs", r.fit.runs}};
  const auto& parameters = theory::law(r.kind).parameters;
  for (size_t j = 0; j < parameters.size(); ++j)
    o["parameters"][parameters[j].name] = {{"estimate", number(r.fit.coefficients[j])},
                                           {"se", number(std::sqrt(r.fit.covariance(Index(j), Index(j))))},
                                           {"is_identified", j == 0 || !r.fit.not_identified[j - 1]}};
  const theory::Scatter& s = r.fit.scatter;
  o["scatter"] = {
      {"run", s.run.sd}, {"checkpoint", s.checkpoint.sd}, {"row", s.row.sd}, {"run_freedom", s.run.freedom}};
  o["candidates"] = o["extrapolation"] = o["ladder"] = Json::array();
  for (const auto& c : r.candidates)
    o["candidates"].push_back(
        {{"law", theory::law(c.kind).name}, {"held_out_rmse", number(c.held_out)}, {"fewest_bits", number(c.fewest)}});
  for (const auto& e : r.outside)
    o["extrapolation"].push_back({{"what", e.what},
                                  {"asked", number(e.asked)},
                                  {"low", number(e.low)},
                                  {"high", number(e.high)},
                                  {"factor", number(e.factor)}});
  for (const auto& l : r.ladder)
    o["ladder"].push_back({{"bits", number(l.P)}, {"rise_nats", interval(l.rise, l.low, l.high)}});
  o["fewest_bits"] = interval(r.fewest);
  o["losses"] = losses_object(r);
  return o;
}

Json budget_object(const theory::BudgetAnswer& b) {
  if (!(b.budget > 0)) return nullptr;
  if (!b.problem.empty()) return {{"flops", b.budget}, {"problem", b.problem}};
  return {{"flops", b.budget},
          {"bits", interval(b.bits)},
          {"N", number(b.best.N)},
          {"D", number(b.best.D)},
          {"loss_nats", number(b.best.loss)}};
}

}  // namespace

std::string prediction_json(const theory::Asked& asked, const theory::CurvatureRoute& curvature,
                            const theory::LawRoute& law, const theory::BudgetAnswer& budget) {
  const Json all{{"schema", 1},
                 {"asked",
                  {{"N", number(asked.N)},
                   {"D", number(asked.D)},
                   {"rise_max_nats", number(asked.rise_max)},
                   {"loss_max_nats", number(asked.loss_max)},
                   {"level", number(asked.level)}}},
                 {"curvature", curvature_object(curvature)},
                 {"law", law_object(law)},
                 {"budget", budget_object(budget)}};
  return all.dump(2) + "\n";
}

}  // namespace hone::experiments
