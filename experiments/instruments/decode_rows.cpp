#include "experiments/instruments/decode_rows.hpp"

namespace hone::experiments {
namespace {

using Doubles = std::vector<double>;
using Ints = std::vector<std::int64_t>;

/// One number per entry.
template <class Entry, class Read>
Variable per_entry(const std::string& dim, const std::vector<Entry>& entries, Read&& read, const char* unit,
                   const char* meaning) {
  Doubles values;
  for (const Entry& e : entries) values.push_back(read(e));
  return vector_variable(dim, std::move(values), unit, meaning);
}

/// One number per entry and element of the list that `list` finds in it.
template <class Entry, class List, class Read>
Variable per_element(const std::array<std::string, 2>& dims, const std::vector<Entry>& entries, List&& list,
                     Read&& read, const char* unit, const char* meaning) {
  Doubles values;
  for (const Entry& e : entries)
    for (const auto& element : list(e)) values.push_back(read(element));
  const auto width = std::int64_t(list(entries.front()).size());
  return matrix_variable(dims, {std::int64_t(entries.size()), width}, std::move(values), unit, meaning);
}

/// Names of the policies, the coordinate of three groups.
Variable policy_names(const std::vector<PolicyEntry>& entries) {
  std::vector<std::string> names;
  for (const PolicyEntry& e : entries) names.push_back(e.policy);
  return vector_variable("policy", names, "1", "policy of the cache of keys and values");
}

void set_octaves(Dataset& rows, const std::vector<BucketComparison>& octaves) {
  Ints first, last;
  for (const BucketComparison& b : octaves) first.push_back(b.first), last.push_back(b.last);
  rows.set("first", vector_variable("octave", first, "tokens", "first position"));
  rows.set("last", vector_variable("octave", last, "tokens", "position after the last"));
  const auto set = [&](const char* name, const char* meaning, auto&& read) {
    rows.set(name, per_entry("octave", octaves, read, "nats", meaning));
  };
  set("loss_nats", "loss in full precision, teacher-forced", [](const auto& b) { return b.reference.mean; });
  set("loss_se_nats", "its standard error over windows", [](const auto& b) { return b.reference.standard_error; });
}

/// Loss rises by octave and over all positions, of policies or schedules.
template <class Entry>
void set_rises(Dataset& rows, const std::string& dim, const std::vector<Entry>& entries) {
  const auto octaves = [](const Entry& e) -> const auto& { return e.octaves; };
  rows.set("delta_nats", per_element(
                             {dim, "octave"}, entries, octaves, [](const auto& b) { return b.difference.mean; }, "nats",
                             "loss minus full precision on the same tokens"));
  rows.set("delta_se_nats",
           per_element(
               {dim, "octave"}, entries, octaves, [](const auto& b) { return b.difference.standard_error; }, "nats",
               "its standard error over windows"));
  rows.set("mean_delta_nats", per_entry(
                                  dim, entries, [](const Entry& e) { return e.all.difference.mean; }, "nats",
                                  "the same over all positions"));
  rows.set("mean_delta_se_nats", per_entry(
                                     dim, entries, [](const Entry& e) { return e.all.difference.standard_error; },
                                     "nats", "its standard error"));
}

/// Storage of the cache in the experiment of this group; `when` says at which length.
void set_bits(Dataset& rows, const std::vector<PolicyEntry>& entries, KvBits PolicyEntry::*bits,
              const std::string& when) {
  rows.set("key_bits", per_entry(
                           "policy", entries, [&](const auto& e) { return (e.*bits).key; }, "bits",
                           ("storage per number of a cached key, " + when).c_str()));
  rows.set("value_bits", per_entry(
                             "policy", entries, [&](const auto& e) { return (e.*bits).value; }, "bits",
                             ("storage per number of a cached value, " + when).c_str()));
}

Dataset loss_rows(const std::vector<PolicyEntry>& entries) {
  Dataset rows;
  rows.set("policy", policy_names(entries));
  set_bits(rows, entries, &PolicyEntry::bits, "at the full length");
  set_octaves(rows, entries.front().octaves);
  set_rises(rows, "policy", entries);
  return rows;
}

Dataset copy_rows(const std::vector<PolicyEntry>& entries, const DecodeSpec& spec) {
  Dataset rows;
  rows.set("policy", policy_names(entries));
  const std::vector<CopyScore>& any = entries.front().copies;
  Ints distances;
  for (const CopyScore& c : any) distances.push_back(c.distance);
  rows.set("distance", vector_variable("distance", distances, "tokens", "from a token to its repetition"));
  const auto full = [&](const char* name, const char* unit, const char* meaning, auto&& read) {
    rows.set(name, per_entry("distance", any, read, unit, meaning));
  };
  const auto set = [&](const char* name, const char* unit, const char* meaning, auto&& read) {
    rows.set(name, per_element(
                       {"policy", "distance"}, entries, [](const PolicyEntry& e) -> const auto& { return e.copies; },
                       read, unit, meaning));
  };
  using C = const CopyScore&;
  full("first_loss_nats", "nats", "loss of the first occurrence: chance", [](C c) { return c.first_loss.mean; });
  full("loss_nats", "nats", "loss of the copy, full precision", [](C c) { return c.reference_loss.mean; });
  full("accuracy", "1", "share of the copy predicted right, full precision",
       [](C c) { return c.reference_accuracy.mean; });
  full("accuracy_se", "1", "its standard error", [](C c) { return c.reference_accuracy.standard_error; });
  set("delta_nats", "nats", "loss of the copy minus full precision", [](C c) { return c.loss_difference.mean; });
  set("delta_se_nats", "nats", "its standard error", [](C c) { return c.loss_difference.standard_error; });
  set("accuracy_delta", "1", "accuracy minus full precision", [](C c) { return c.accuracy_difference.mean; });
  set("accuracy_delta_se", "1", "its standard error", [](C c) { return c.accuracy_difference.standard_error; });
  rows.set_attribute("block", spec.copy_block);
  rows.set_attribute("windows", spec.copy_windows);
  return rows;
}

Dataset free_rows(const std::vector<PolicyEntry>& entries, const DecodeSpec& spec) {
  Dataset rows;
  rows.set("policy", policy_names(entries));
  set_bits(rows, entries, &PolicyEntry::free_bits, "when the last token is chosen");
  const auto set = [&](const std::string& how, FreeRunning PolicyEntry::*run) {
    const auto by_position = [&](const char* name, const char* unit, const char* meaning, auto list, auto read) {
      rows.set(how + name,
               per_element(
                   {"policy", "position"}, entries, [&](const PolicyEntry& e) -> const auto& { return (e.*run).*list; },
                   read, unit, meaning));
    };
    const auto mean = [](const MeanEstimate& m) { return m.mean; };
    const auto error = [](const MeanEstimate& m) { return m.standard_error; };
    by_position("_agreement", "1", "share of prompts with the token of full precision", &FreeRunning::agreement, mean);
    by_position("_agreement_se", "1", "its standard error", &FreeRunning::agreement, error);
    by_position("_kl_nats", "nats", "KL(full precision || policy), both fed the tokens of full precision",
                &FreeRunning::kl, mean);
    by_position("_kl_se_nats", "nats", "its standard error", &FreeRunning::kl, error);
    rows.set(how + "_first_difference",
             per_element(
                 {"policy", "prompt"},
                 entries, [&](const PolicyEntry& e) -> const auto& { return (e.*run).first_difference; },
                 [](Index count) { return double(count); }, "tokens",
                 "generated tokens before the first that differs; all of them when none does"));
  };
  set("greedy", &PolicyEntry::greedy);
  set("sampled", &PolicyEntry::sampled);
  rows.set_attribute("prompt_tokens", spec.prompt);
  rows.set_attribute("temperature", spec.temperature);
  return rows;
}

Dataset schedule_rows(const std::vector<ScheduleEntry>& entries, const DecodeSpec& spec) {
  Dataset rows;
  std::vector<std::string> names;
  Ints first, last;
  for (const ScheduleEntry& e : entries)
    names.push_back(e.schedule), first.push_back(e.first_bits), last.push_back(e.last_bits);
  rows.set("schedule", vector_variable("entry", names, "1", "how the widths of generated tokens follow each other"));
  rows.set("average_bits", per_entry(
                               "entry", entries, [](const auto& e) { return e.average_bits; }, "bits",
                               "mean over the generated tokens"));
  rows.set("first_bits", vector_variable("entry", first, "bits", "of the first generated token"));
  rows.set("last_bits", vector_variable("entry", last, "bits", "of the last generated token"));
  set_octaves(rows, entries.front().octaves);
  set_rises(rows, "entry", entries);
  rows.set("to_uniform_nats", per_entry(
                                  "entry", entries, [](const auto& e) { return e.to_uniform.mean; }, "nats",
                                  "loss minus that of uniform precision with the same average"));
  rows.set("to_uniform_se_nats", per_entry(
                                     "entry", entries, [](const auto& e) { return e.to_uniform.standard_error; },
                                     "nats", "its standard error over windows"));
  rows.set_attribute("prompt_tokens", spec.prompt);
  rows.set_attribute("stored_bits", spec.stored_bits);
  return rows;
}

}  // namespace

std::map<std::string, Dataset> decode_rows(const DecodeTable& table, const DecodeInput& input) {
  std::map<std::string, Dataset> groups;
  if (!table.policies.empty()) {
    groups["decode"] = loss_rows(table.policies);
    groups["decode_free"] = free_rows(table.policies, input.spec);
    if (!table.policies.front().copies.empty()) groups["decode_copy"] = copy_rows(table.policies, input.spec);
  }
  if (!table.schedules.empty()) groups["decode_schedules"] = schedule_rows(table.schedules, input.spec);
  for (auto& [name, rows] : groups) rows.set_attribute("length", input.spec.length);
  return groups;
}

}  // namespace hone::experiments
