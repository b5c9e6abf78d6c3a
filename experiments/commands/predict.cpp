#include "experiments/commands/predict.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

#include "experiments/running/progress.hpp"
#include "experiments/study/reader.hpp"
#include "experiments/study/study.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

using theory::Asked;
using theory::CurvatureRoute;
using theory::FewestBits;
using theory::Interval;
using theory::LawRoute;

/// Run files of a study file (in its default folder), a study's folder, or a run file itself.
std::vector<fs::path> files_of(const fs::path& source) {
  if (!fs::is_directory(source) && source.extension() != ".toml") return {source};
  const fs::path folder = fs::is_directory(source) ? source : fs::path("outputs") / read_study(source).name;
  std::vector<fs::path> files;
  for (const fs::path& runs : {folder / "runs", folder})
    if (files.empty() && fs::is_directory(runs))
      for (const auto& entry : fs::directory_iterator(runs))
        if (entry.path().extension() == ".h5") files.push_back(entry.path());
  if (files.empty())
    throw OptionError(
        fmt::format("{}: no run files; hone run first, or give the folder of the study", folder.string()));
  std::sort(files.begin(), files.end());
  return files;
}

/// Thresholds of the study among the sources, so that the law sees the rows that hone judge sees.
theory::Thresholds thresholds_of(const std::vector<fs::path>& sources) {
  for (const fs::path& source : sources) {
    const fs::path file = fs::is_directory(source) ? source / "study.toml" : source;
    if (file.extension() == ".toml" && fs::exists(file)) return read_study(file).thresholds;
  }
  return {};
}

std::string bits_text(double bits) { return std::isnan(bits) ? "more than asked" : fmt::format("{:g}", bits); }

std::string iso_text(const Interval& i) {
  const auto one = [](double bits) {
    return std::isnan(bits) ? std::string("?") : bits > 16 ? std::string("-") : fmt::format("{:.0f}", bits);
  };
  return i.low == i.high ? one(i.estimate) : fmt::format("{} ({}..{})", one(i.estimate), one(i.low), one(i.high));
}

void print_fewest(const FewestBits& fewest, const Asked& asked) {
  fmt::print("  fewest bits with a rise of at most {:g} nats: {} (at the ends of the {:g} % interval: {}, {})\n",
             asked.rise_max, bits_text(fewest.estimate), 100 * asked.level, bits_text(fewest.low),
             bits_text(fewest.high));
}

void print_curvature(const CurvatureRoute& r, const Asked& asked) {
  fmt::print("\n(a) CURVATURE of one checkpoint, no fitted constant: (1/24) sum step2 tr H, plus g'e\n");
  if (r.ladder.empty()) {
    fmt::print("  no checkpoint of these runs has a prediction; measure one with hone run or hone measure\n");
    return;
  }
  fmt::print("  from {} ({}), N {}, {} tokens, loss {:.4f} nats\n", r.at.run, r.at.variant, count_text(r.at.N),
             r.at.D > 0 ? count_text(r.at.D) : "unknown", r.loss);
  if (r.at.N != asked.N || (r.at.D > 0 && r.at.D != asked.D))
    fmt::print("  warning: the nearest measured checkpoint, not what was asked: its answer holds for itself only\n");
  fmt::print("  {:>4} {:>12} {:>10} {:>11} {:>12} {:>25} {:>22}\n", "bits", "2nd order", "± se", "g'e", "rise",
             fmt::format("{:g} % interval", 100 * asked.level), "measured ± se");
  for (const auto& s : r.ladder)
    fmt::print("  {:>4g} {:>12.3g} {:>10.2g} {:>11} {:>12.3g} {:>12.3g} .. {:<9.3g} {:>22}{}\n", s.P, s.second_order,
               s.standard_error, std::isfinite(s.gradient) ? fmt::format("{:.2g}", s.gradient) : "-", s.rise, s.low,
               s.high, std::isfinite(s.measured) ? fmt::format("{:.3g} ± {:.2g}", s.measured, s.measured_se) : "-",
               s.is_rescaled ? "  by " + r.grid : "");
  fmt::print(
      "  the interval is that of the prediction; orders beyond the second are not in it, and below 3 bits\n"
      "  rounding shrinks weights, which this formula does not know\n");
  print_fewest(r.fewest, asked);
}

void print_scatter(const theory::GroupedFit& fit) {
  const auto& s = fit.scatter;
  fmt::print("  scatter of ln rise: {:.2g} between runs, {:.2g} between checkpoints, {:.2g} between rows\n", s.run.sd,
             s.checkpoint.sd, s.row.sd);
  if (s.run.freedom == 0)
    fmt::print(
        "  warning: {} runs cannot show the scatter between runs: the interval holds for them, not for a new "
        "run; add seeds\n",
        fit.runs);
  if (fit.not_identified[0]) fmt::print("  warning: one token count: growth with tokens is unknown, taken as none\n");
  if (fit.not_identified[1]) fmt::print("  warning: one model size: change with size is unknown, taken as none\n");
}

void print_losses(const LawRoute& r, const Asked& asked) {
  if (!r.loss_problem.empty()) {
    fmt::print("  no law of losses ({}): no critical tokens, effective parameters or iso-loss\n", r.loss_problem);
    return;
  }
  const auto& p = r.training.parameters;
  fmt::print("  L = {:.4g} + {:.3g} N^-{:.3g} + {:.3g} D^-{:.3g}, rmse {:.2g} in ln; intervals by leaving out runs\n",
             p[4], std::exp(p[0]), p[1], std::exp(p[2]), p[3], r.training.rmse_log);
  fmt::print("  {:>4} {:>30} {:>36} {:>32}\n", "bits", "loss after quantizing", "tokens beyond which more hurt",
             "effective parameters / N");
  const auto text = [](const Interval& i, auto one) {
    return fmt::format("{} ({}..{})", one(i.estimate), one(i.low), one(i.high));
  };
  const auto number = [](double x) { return fmt::format("{:.4g}", x); };
  const auto count = [](double x) { return x < 1e13 ? count_text(x) : fmt::format("{:.1g}", x); };
  for (const auto& s : r.losses)
    fmt::print("  {:>4g} {:>30} {:>36} {:>32}\n", s.P, text(s.loss, number), text(s.critical_tokens, count),
               text(s.effective_fraction, number));
  fmt::print("  fewest bits that reach a loss of {:.4f}: {}; over sizes (down) and tokens (right):\n  {:>10}",
             r.iso.target, iso_text(r.iso.here), "");
  for (const double D : r.iso.tokens) fmt::print(" {:>12}", count_text(D));
  for (size_t i = 0; i < r.iso.sizes.size(); ++i) {
    fmt::print("\n  {:>10}", count_text(r.iso.sizes[i]));
    for (size_t j = 0; j < r.iso.tokens.size(); ++j)
      fmt::print(" {:>12}", iso_text(r.iso.bits[i * r.iso.tokens.size() + j]));
  }
  fmt::print(
      "\n  (2 to 16 bits; - = none reaches it; 16 bits count as quantized; the last column and row lie beyond "
      "the runs)\n");
}

void print_law(const LawRoute& r, const Asked& asked) {
  fmt::print("\n(b) LAW fitted over the runs, for a run that was not made\n");
  if (!r.problem.empty()) {
    fmt::print("  no answer: {}\n", r.problem);
    return;
  }
  for (const auto& c : r.candidates)
    fmt::print("  {} {}: left-out cells missed by {:.3g} in ln; alone it says {} bits\n", c.kind == r.kind ? "*" : " ",
               theory::law(c.kind).name, c.held_out, bits_text(c.fewest));
  const auto& b = r.fit.coefficients;
  fmt::print("  grows as D^{:.3g} ± {:.2g}, falls as N^{:.3g} ± {:.2g}; {} rows, {} checkpoints, {} runs\n", b[1],
             std::sqrt(r.fit.covariance(1, 1)), b[2], std::sqrt(r.fit.covariance(2, 2)), r.fit.n, r.fit.checkpoints,
             r.fit.runs);
  print_scatter(r.fit);
  for (const auto& o : r.outside)
    fmt::print("  warning: extrapolation: {} = {:.4g} lies {:.3g} times beyond the fitted {:.4g} to {:.4g}\n", o.what,
               o.asked, o.factor, o.low, o.high);
  fmt::print("  {:>4} {:>12} {:>27} {:>29}\n", "bits", "rise", fmt::format("{:g} % for a new run", 100 * asked.level),
             "of the law alone");
  for (const auto& s : r.ladder)
    fmt::print("  {:>4g} {:>12.3g} {:>14.3g} .. {:<9.3g} {:>16.3g} .. {:<9.3g}\n", s.P, s.rise, s.low, s.high,
               std::exp(s.log_rise.law_low), std::exp(s.log_rise.law_high));
  print_fewest(r.fewest, asked);
  print_losses(r, asked);
}

void print_budget(const theory::BudgetAnswer& b) {
  fmt::print("\nBEST PRECISION OF TRAINING for {:.3g} FLOPs\n", b.budget);
  if (!b.problem.empty()) return fmt::print("  no answer: {}\n", b.problem);
  fmt::print("  {:.3g} bits ({:.3g} to {:.3g}); at that precision N {}, {} tokens, loss {:.4f} nats\n", b.bits.estimate,
             b.bits.low, b.bits.high, count_text(b.best.N), count_text(b.best.D), b.best.loss);
}

using Json = nlohmann::ordered_json;

/// Null when it is not finite.
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

Json curvature_object(const CurvatureRoute& r) {
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

Json losses_object(const LawRoute& r) {
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

Json law_object(const LawRoute& r) {
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

/// The answers as the text of --out: {"schema": 1, "asked": …, "curvature": …, "law": …, "budget": …}.
std::string prediction_json(const Asked& asked, const CurvatureRoute& curvature, const LawRoute& law,
                            const theory::BudgetAnswer& budget) {
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

}  // namespace

int predict_command(const PredictOptions& options) {
  const auto& bits = options.asked.bits;
  if (std::adjacent_find(bits.begin(), bits.end(), std::greater_equal<>()) != bits.end())
    throw OptionError(fmt::format("--bits {}: give rising widths, each once", fmt::join(bits, " ")));
  std::vector<fs::path> files;
  for (const fs::path& source : options.sources)
    for (fs::path& file : files_of(source)) files.push_back(std::move(file));
  for (const fs::path& file : files)
    if (std::error_code none; !options.out.empty() && fs::equivalent(options.out, file, none))
      throw OptionError(fmt::format("--out {}: is one of the sources, which it would replace; name another file",
                                    options.out.string()));
  const theory::Table table = theory::collect(files);
  const Asked asked = theory::resolved(table, options.asked);
  fmt::print(
      "{} run files; how many bits may a model of N = {} quantizable parameters, trained on {} tokens, keep to "
      "lose at most {:g} nats?\n",
      files.size(), count_text(asked.N), asked.D > 0 ? count_text(asked.D) : "unknown", asked.rise_max);
  const CurvatureRoute curvature = theory::curvature_route(table, asked);
  print_curvature(curvature, asked);
  const auto thresholds = thresholds_of(options.sources);
  const LawRoute law = theory::law_route(table, asked, thresholds);
  print_law(law, asked);
  theory::BudgetAnswer budget;
  if (options.budget > 0)
    print_budget(budget = theory::best_training_bits(table, options.budget, asked.level, thresholds));
  if (!options.out.empty()) {
    write_text_atomically(options.out, prediction_json(asked, curvature, law, budget));
    fmt::print("\nwritten: {}\n", options.out.string());
  }
  return curvature.ladder.empty() && !law.problem.empty() ? 5 : 0;
}

namespace {

void add_predict_options(CLI::App& command, PredictOptions& o) {
  command.add_option("sources", o.sources, "study files, folders of studies, run files")
      ->required()
      ->check(CLI::ExistingPath)
      ->type_name("STUDY.toml|FOLDER|RUN.h5...");
  command.footer(
      "two routes, both printed: the curvature of the nearest measured checkpoint, and laws fitted over the runs\n"
      "examples:\n"
      "  hone predict experiments/studies/demo.toml --max-rise 0.02\n"
      "  hone predict outputs/demo --size 2e5 --tokens 2e7 --bits 3 4 5 6 --out plan.json\n"
      "  hone predict outputs/measure/pythia-14m.h5 --max-rise 0.1\n"
      "exit code 5 when neither route has an answer");
  command.add_option("--size", o.asked.N, "quantizable parameters; default the largest model measured")
      ->check(CLI::PositiveNumber);
  command.add_option("--tokens", o.asked.D, "training tokens; default the most of that model")
      ->check(CLI::PositiveNumber);
  command.add_option("--max-rise", o.asked.rise_max, "nats per token that quantizing may cost")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--loss", o.asked.loss_max,
                  "nats per token to reach after quantizing; default full precision "
                  "and --max-rise")
      ->check(CLI::PositiveNumber);
  command.add_option("--budget", o.budget, "FLOPs at 16 bits: also the best precision of training")
      ->check(CLI::PositiveNumber);
  command.add_option("--bits", o.asked.bits, "widths to consider, rising")->check(CLI::Range(2, 16));
  command.add_option("--level", o.asked.level, "of intervals")->check(CLI::Range(0.5, 0.999));
  command.add_option("--out", o.out, "JSON file");
}

}  // namespace

Action predict_options(CLI::App& command, const std::string&) {
  const auto options = std::make_shared<PredictOptions>();
  add_predict_options(command, *options);
  return [options] { return predict_command(*options); };
}

}  // namespace hone::experiments
