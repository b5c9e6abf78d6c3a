#include "experiments/commands/fit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/parallel.hpp"
#include "theory/fits/held_out.hpp"

namespace hone::experiments {
namespace {

using theory::Condition;
using theory::FitIntervals;
using theory::FitOptions;
using theory::ForeignRows;
using theory::Interval;
using theory::Law;
using theory::LawKind;
using theory::Observation;
using Json = nlohmann::ordered_json;

/// Where residuals of ln y begin to count linearly when nothing says how large their errors are.
constexpr double huber_of_hoffmann = 1e-3;  // Hoffmann et al. 2203.15556, Appendix D.3

/// Rows of a model fitted to others, and how well it does on rows that no fit saw.
struct Rival {
  LawKind kind{};
  theory::HeldOut held_out;
  theory::FormContrast against_law;  ///< its mean squared error minus that of the law
};

struct Report {
  const Law* law = nullptr;
  ForeignRows rows;
  std::vector<Observation> predicted;  ///< rows that --hold-out takes from the fit
  FitOptions fitting;
  bool has_sigma = false;
  FitIntervals fit;
  theory::Extrapolation beyond;
  theory::HeldOut held_out;
  std::vector<Rival> rivals;
};

LawKind law_of(const std::string& key) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < theory::law_count; ++i) {
    known.push_back(theory::law(LawKind(i)).key);
    if (known.back() == key) return LawKind(i);
  }
  throw OptionError(fmt::format("law \"{}\" is not known; known: {}", key, fmt::join(known, ", ")));
}

/// NAME=VALUE, cut at the first =.
std::pair<std::string, std::string> pair_of(const std::string& option, const std::string& text) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    throw OptionError(fmt::format("{} {}: give NAME=VALUE", option, text));
  return {text.substr(0, at), text.substr(at + 1)};
}

double number_of(const std::string& option, const std::string& name, const std::string& text) {
  double value = 0;
  if (CLI::detail::lexical_cast(text, value)) return value;
  throw OptionError(fmt::format("{} {}={}: give a number", option, name, text));
}

std::vector<Condition> conditions(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

theory::ForeignColumns columns_of(const TableFitOptions& o) {
  theory::ForeignColumns how;
  for (const std::string& text : o.columns) how.columns.insert(pair_of("--columns", text));
  for (const std::string& text : o.units) {
    const auto [symbol, factor] = pair_of("--units", text);
    how.units[symbol] = number_of("--units", symbol, factor);
  }
  how.keep = conditions(o.keep);
  return how;
}

FitOptions fitting_of(const TableFitOptions& o, const Law& law, bool has_sigma) {
  FitOptions fitting;
  fitting.starts = o.starts;
  if (!(o.huber >= 0)) throw OptionError(fmt::format("--huber {:g}: give a positive number, or inf", o.huber));
  if (o.huber > 0)
    fitting.huber_scale = std::isinf(o.huber) ? 1e150 : o.huber;
  else if (!has_sigma)
    fitting.huber_scale = huber_of_hoffmann;
  fitting.held.assign(o.hold.empty() ? 0 : law.parameters.size(), NAN);
  for (const std::string& text : o.hold) {
    const auto [name, value] = pair_of("--hold", text);
    const auto found = std::find_if(law.parameters.begin(), law.parameters.end(),
                                    [&, &name = name](const theory::Parameter& p) { return p.name == name; });
    if (found == law.parameters.end()) {
      std::vector<std::string> known;
      for (const theory::Parameter& p : law.parameters) known.push_back(p.name);
      throw OptionError(
          fmt::format("--hold {}: law {} has no such parameter (it has: {})", text, law.key, fmt::join(known, ", ")));
    }
    fitting.held[std::size_t(found - law.parameters.begin())] = number_of("--hold", name, value);
  }
  return fitting;
}

/// Takes the rows that satisfy all conditions out of the fitted ones.
std::vector<Observation> take_held_out(ForeignRows& rows, const theory::Csv& table,
                                       const std::vector<Condition>& held) {
  std::vector<Observation> fitted, predicted;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    const bool is_held = !held.empty() && std::all_of(held.begin(), held.end(), [&](const Condition& c) {
      return c.holds(table, rows.places[i]);
    });
    (is_held ? predicted : fitted).push_back(rows.rows[i]);
  }
  if (!held.empty() && predicted.empty())
    throw OptionError(fmt::format("--hold-out {}: no row of {} satisfies it", held[0].text(), table.source()));
  rows.rows = std::move(fitted);
  return predicted;
}

Report fit_table(const TableFitOptions& o) {
  Report r;
  r.law = &theory::law(law_of(o.law));
  const theory::ForeignColumns how = columns_of(o);
  r.has_sigma = how.columns.contains("sigma");
  r.fitting = fitting_of(o, *r.law, r.has_sigma);
  const theory::Csv table = theory::read_foreign(o.table);
  r.rows = theory::foreign_rows(table, how, r.law->kind);
  r.predicted = take_held_out(r.rows, table, conditions(o.held_out));
  const theory::IntervalOptions intervals{o.level, hardware_threads()};
  r.fit = theory::fit_intervals(r.law->kind, r.rows.rows, r.fitting, intervals);
  if (!r.fit.fit.is_usable()) return r;
  // Refits without a run start from the whole fit, as those of the intervals do.
  const auto from = [&](const theory::FitSummary& whole) {
    FitOptions warm = r.fitting;
    warm.start = whole.parameters;
    return warm;
  };
  const theory::Scale scale = r.law->scale;
  if (!r.predicted.empty())
    r.beyond = theory::extrapolate(r.law->kind, {r.rows.rows, r.predicted}, from(r.fit.fit), scale);
  if (o.rivals.empty()) return r;
  const auto errors_of = [&](LawKind kind, const FitOptions& options) {
    return theory::held_out_rows(kind, r.rows.rows, options, scale);
  };
  const std::vector<double> own = errors_of(r.law->kind, from(r.fit.fit));
  r.held_out = theory::summarize_held_out(own, r.rows.rows);
  for (const std::string& key : o.rivals) {
    Rival rival{law_of(key), {}, {}};
    (void)theory::foreign_rows(table, how, rival.kind);  // names what the rival needs and the table lacks
    FitOptions plain = r.fitting;
    plain.held.clear();
    const theory::FitSummary whole = theory::fit(rival.kind, r.rows.rows, plain);
    if (whole.is_usable()) plain.start = whole.parameters;
    const std::vector<double> errors = errors_of(rival.kind, plain);
    rival.held_out = theory::summarize_held_out(errors, r.rows.rows);
    rival.against_law = theory::contrast_errors(errors, own, r.rows.rows, intervals);
    r.rivals.push_back(rival);
  }
  return r;
}

std::string residual_text(const Report& r) {
  const char* residual = r.law->scale == theory::Scale::log ? "ln y - ln prediction" : "y - prediction";
  return r.has_sigma ? fmt::format("({})/sigma", residual) : residual;
}

/// What the fit minimizes.
std::string objective_text(const Report& r) {
  if (r.law->form == theory::Form::log_linear && r.fitting.held.empty())
    return fmt::format("half the sum of squares of {}", residual_text(r));
  if (r.fitting.huber_scale > 1e100) return fmt::format("half the sum of squares of {}", residual_text(r));
  return fmt::format("sum of Huber({}), delta = {:g}", residual_text(r), r.fitting.huber_scale);
}

std::string stop_text(theory::Stop stop) {
  switch (stop) {
    case theory::Stop::solved: return "solved";
    case theory::Stop::converged: return "converged";
    case theory::Stop::iterations_used_up: return "iterations used up; more --starts may help";
    case theory::Stop::too_few_rows: return "too few rows for the parameters of the law";
    case theory::Stop::rank_deficient: return "the rows do not determine the parameters: vary N, D and P apart";
    case theory::Stop::failed: return "no start has a finite cost";
  }
  return "";
}

std::string interval_text(const Interval& i) {
  return std::isfinite(i.low) ? fmt::format("{:.5g} ({:.5g} to {:.5g})", i.estimate, i.low, i.high)
                              : fmt::format("{:.5g} (no interval)", i.estimate);
}

/// Parameters, and those that are logarithms once more as themselves.
std::vector<std::pair<std::string, Interval>> numbers_of(const Report& r) {
  std::vector<std::pair<std::string, Interval>> numbers;
  for (std::size_t k = 0; k < r.law->parameters.size(); ++k) {
    const std::string& name = r.law->parameters[k].name;
    numbers.emplace_back(name, r.fit.parameters[k]);
    if (name.starts_with("ln ")) numbers.emplace_back(name.substr(3), theory::exponential(r.fit.parameters[k]));
  }
  return numbers;
}

void print_warnings(const Report& r) {
  const theory::FitSummary& fit = r.fit.fit;
  for (std::size_t k = 0; k < r.law->parameters.size(); ++k) {
    const theory::Parameter& p = r.law->parameters[k];
    if (fit.is_held[k]) fmt::print("held: {} = {:g}\n", p.name, fit.parameters[k]);
    if (fit.not_identified[k]) fmt::print("warning: no row depends on {}\n", p.name);
    if (fit.at_bound[k] && !fit.is_held[k] && !fit.not_identified[k])
      fmt::print("warning: {} lies at the end of its range, {:g} to {:g}\n", p.name, p.low, p.high);
  }
  if (fit.collinear)
    fmt::print("warning: the rows hardly tell the parameters apart (condition {:.3g}); vary N and D apart\n",
               fit.condition);
  for (const char* symbol : {"N", "D"})
    if (const auto at = r.rows.ranges.find(symbol);
        at != r.rows.ranges.end() && at->second.second > 1e6 * at->second.first)
      fmt::print("warning: {} spans a factor of {:.1g}; are all rows in one unit?\n", symbol,
                 at->second.second / at->second.first);
}

void print_held_out(const Report& r) {
  if (!r.predicted.empty())
    fmt::print("\nheld out by --hold-out: {} rows, root mean square error {:.4g}, mean error {:+.4g}\n", r.beyond.n,
               r.beyond.rmse, r.beyond.bias);
  if (r.rivals.empty()) return;
  fmt::print("\nruns left out one at a time: root mean square error\n  {:<28} {:.4g}\n", r.law->name,
             r.held_out.rmse_log);
  for (const Rival& rival : r.rivals)
    fmt::print("  {:<28} {:.4g}; its mean squared error less that of {}: {}{}\n", theory::law(rival.kind).name,
               rival.held_out.rmse_log, r.law->name, interval_text(rival.against_law.difference),
               rival.against_law.is_equal ? ", not told apart" : "");
}

void print_report(const Report& r, const TableFitOptions& o) {
  const theory::FitSummary& fit = r.fit.fit;
  fmt::print("law        {} ({}); {}\n", r.law->name, r.law->key, r.law->source);
  fmt::print("table      {}: {} rows in {} runs are fitted; {} are left out by --keep\n", o.table.string(), fit.n,
             r.rows.runs, r.rows.left_out);
  for (const auto& [symbol, range] : r.rows.ranges)
    fmt::print("  {:<8} {:.6g} to {:.6g}\n", symbol, range.first, range.second);
  fmt::print("objective  {}\n", objective_text(r));
  if (!fit.is_usable()) {
    fmt::print("no fit: {}\n", stop_text(fit.stop));
    return;
  }
  fmt::print("  value    {:.11g} ({}); root mean square {:.4g}, R2 {:.5g}\n\n", fit.cost, stop_text(fit.stop),
             fit.rmse_log, fit.r2);
  fmt::print("{:<12} {:g} % interval, one run left out at a time\n", "parameter", 100 * o.level);
  for (const auto& [name, interval] : numbers_of(r)) fmt::print("{:<12} {}\n", name, interval_text(interval));
  print_warnings(r);
  print_held_out(r);
}

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }

Json interval_object(const Interval& i) {
  return {{"estimate", number(i.estimate)},
          {"low", number(i.low)},
          {"high", number(i.high)},
          {"standard_error", number(i.standard_error)}};
}

/// The fit as the text of --out.
std::string json_of(const Report& r, const TableFitOptions& o) {
  const theory::FitSummary& fit = r.fit.fit;
  Json all{{"schema", 1},
           {"table", o.table.filename().string()},
           {"table_sha256", sha256_of_file(o.table)},
           {"columns", o.columns},
           {"units", o.units},
           {"keep", o.keep},
           {"law", r.law->key},
           {"source", r.law->source},
           {"rows", fit.n},
           {"runs", r.rows.runs},
           {"left_out", r.rows.left_out},
           {"objective", objective_text(r)},
           {"value", number(fit.cost)},
           {"stop", stop_text(fit.stop)},
           {"rmse", number(fit.rmse_log)},
           {"level", o.level}};
  for (const auto& [name, interval] : fit.is_usable() ? numbers_of(r) : std::vector<std::pair<std::string, Interval>>{})
    all["parameters"][name] = interval_object(interval);
  if (!r.predicted.empty())
    all["held_out"] = {{"conditions", o.held_out},
                       {"rows", r.beyond.n},
                       {"rmse", number(r.beyond.rmse)},
                       {"mean_error", number(r.beyond.bias)}};
  for (const Rival& rival : r.rivals)
    all["rivals"].push_back({{"law", theory::law(rival.kind).key},
                             {"rmse", number(rival.held_out.rmse_log)},
                             {"law_rmse", number(r.held_out.rmse_log)},
                             {"difference", interval_object(rival.against_law.difference)},
                             {"is_equal", rival.against_law.is_equal}});
  return all.dump(2) + "\n";
}

}  // namespace

int fit_command(const TableFitOptions& options) {
  if (!options.out.empty() && std::filesystem::exists(options.out) &&
      std::filesystem::equivalent(options.out, options.table))
    throw OptionError(
        fmt::format("--out {}: is the table, which it would replace; name another file", options.out.string()));
  const Report report = fit_table(options);
  print_report(report, options);
  if (!options.out.empty()) {
    write_text_atomically(options.out, json_of(report, options));
    fmt::print("written: {}\n", options.out.string());
  }
  return report.fit.fit.is_usable() ? 0 : 5;
}

namespace {

std::string law_list() {
  std::string text = "laws:";
  for (std::size_t i = 0; i < theory::law_count; ++i) {
    const LawKind kind = LawKind(i);
    text += fmt::format("\n  {:<28} {}: y {}", theory::law(kind).key, theory::law(kind).name,
                        fmt::join(theory::symbols_of(kind), " "));
  }
  return text;
}

void add_fit_options(CLI::App& command, TableFitOptions& o) {
  command.add_option("table", o.table, "CSV with column names, or an object per line (.jsonl); also .gz")
      ->required()
      ->check(CLI::ExistingFile)
      ->type_name("TABLE");
  command.add_option("--law", o.law, "key of the law, see below")->capture_default_str();
  command
      .add_option(
          "--columns", o.columns,
          "which column is which number: y (measured), N (parameters), D (tokens) or C (training FLOP, D = C/6N),\n"
          "P (bits after training), P_w P_a P_kv (bits in training), group, E, M, sigma (of y), run (its rows\n"
          "are left out together)")
      ->required()
      ->delimiter(',')
      ->type_name("SYMBOL=COLUMN,...");
  command.add_option("--units", o.units, "what a 1 in a column means")->delimiter(',')->type_name("SYMBOL=FACTOR,...");
  command.add_option("--keep", o.keep, "rows to use, such as \"loss <= 4\"; repeat it for several conditions")
      ->allow_extra_args(false)
      ->type_name("CONDITION");
  command.add_option("--hold-out", o.held_out, "rows to predict and not to fit, such as \"tokens > 3e10\"")
      ->allow_extra_args(false)
      ->type_name("CONDITION");
  command.add_option("--rivals", o.rivals, "laws to compare by runs left out")->delimiter(',')->type_name("LAW,...");
  command.add_option("--hold", o.hold, "parameters to keep fixed")->delimiter(',')->type_name("PARAMETER=VALUE,...");
  command
      .add_option(
          "--huber", o.huber,
          "where residuals begin to count linearly: in ln y, 0.001 by default; in sigma, 1.345 by default, where\n"
          "--columns names it; inf for least squares")
      ->type_name("FLOAT");
  command.add_option("--starts", o.starts, "random starts of a curved law")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_option("--level", o.level, "of the intervals")->check(CLI::Range(0.5, 0.9999))->capture_default_str();
  command.add_option("--out", o.out, "write the fit as JSON")->type_name("FILE.json");
  command.footer(
      "examples:\n"
      "  hone fit chinchilla.csv --columns \"N=Model Size,C=Training FLOP,y=loss\" --keep \"loss < 3.9\"\n"
      "  hone fit losses.jsonl --columns N=params,D=tokens,y=final_loss,run=run_name --huber 1e-4\n"
      "  hone fit ptq.csv --law bit_power --columns N=params,D=tokens,P=bits,y=rise --units D=1e9 --rivals "
      "exponential,step\n"
      "exit code 5 when the fit has no usable end\n" +
      law_list());
}

}  // namespace

Action fit_options(CLI::App& command, const std::string& /*line*/) {
  const auto options = std::make_shared<TableFitOptions>();
  add_fit_options(command, *options);
  return [options] { return fit_command(*options); };
}

}  // namespace hone::experiments
