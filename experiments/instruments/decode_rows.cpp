#include "experiments/instruments/decode_rows.hpp"

#include "sim/record/schema.hpp"

namespace hone::experiments {
namespace {

/// One value per entry.
template <class T, class Entry, class Read>
void put(Dataset& rows, const Field<T>& field, const std::vector<Entry>& entries, Read&& read) {
  std::vector<T> values;
  for (const Entry& e : entries) values.push_back(read(e));
  set(rows, field, std::move(values));
}

/// One number per entry and element of the list that `list` finds in it.
template <class Entry, class List, class Read>
void put_each(Dataset& rows, const Field<double>& field, const std::vector<Entry>& entries, List&& list, Read&& read) {
  std::vector<double> values;
  for (const Entry& e : entries)
    for (const auto& element : list(e)) values.push_back(read(element));
  set(rows, field, std::move(values), {std::int64_t(entries.size())});
}

template <class Group>
void put_octaves(Dataset& rows, const Group& f, const std::vector<BucketComparison>& octaves) {
  using B = const BucketComparison&;
  put(rows, f.first, octaves, [](B b) { return b.first; });
  put(rows, f.last, octaves, [](B b) { return b.last; });
  put(rows, f.loss_nats, octaves, [](B b) { return b.reference.mean; });
  put(rows, f.loss_se_nats, octaves, [](B b) { return b.reference.standard_error; });
}

/// Loss rises by octave and over all positions, of policies or schedules.
template <class Group, class Entry>
void put_rises(Dataset& rows, const Group& f, const std::vector<Entry>& entries) {
  using E = const Entry&;
  using B = const BucketComparison&;
  const auto octaves = [](E e) -> const auto& { return e.octaves; };
  put_each(rows, f.delta_nats, entries, octaves, [](B b) { return b.difference.mean; });
  put_each(rows, f.delta_se_nats, entries, octaves, [](B b) { return b.difference.standard_error; });
  put(rows, f.mean_delta_nats, entries, [](E e) { return e.all.difference.mean; });
  put(rows, f.mean_delta_se_nats, entries, [](E e) { return e.all.difference.standard_error; });
}

/// Names of the policies, and the storage of the cache at the length of this group's experiment.
template <class Group>
void put_policies(Dataset& rows, const Group& f, const std::vector<PolicyEntry>& entries, KvBits PolicyEntry::*bits) {
  using E = const PolicyEntry&;
  put(rows, f.policy, entries, [](E e) { return e.policy; });
  put(rows, f.key_bits, entries, [&](E e) { return (e.*bits).key; });
  put(rows, f.value_bits, entries, [&](E e) { return (e.*bits).value; });
}

Dataset loss_rows(const std::vector<PolicyEntry>& entries, Index context) {
  Dataset rows;
  put_policies(rows, schema::decode, entries, &PolicyEntry::bits);
  put_octaves(rows, schema::decode, entries.front().octaves);
  put(rows, schema::decode.contexts, entries.front().octaves,
      [&](const BucketComparison& b) { return double(b.last) / double(context); });
  put_rises(rows, schema::decode, entries);
  return rows;
}

Dataset copy_rows(const std::vector<PolicyEntry>& entries, const DecodeSpec& spec) {
  Dataset rows;
  constexpr const schema::DecodeCopy& f = schema::decode_copy;
  const std::vector<CopyScore>& any = entries.front().copies;
  const auto copies = [](const PolicyEntry& e) -> const auto& { return e.copies; };
  using C = const CopyScore&;
  put(rows, f.policy, entries, [](const PolicyEntry& e) { return e.policy; });
  put(rows, f.distance, any, [](C c) { return c.distance; });
  put(rows, f.first_loss_nats, any, [](C c) { return c.first_loss.mean; });
  put(rows, f.loss_nats, any, [](C c) { return c.reference_loss.mean; });
  put(rows, f.accuracy, any, [](C c) { return c.reference_accuracy.mean; });
  put(rows, f.accuracy_se, any, [](C c) { return c.reference_accuracy.standard_error; });
  put_each(rows, f.delta_nats, entries, copies, [](C c) { return c.loss_difference.mean; });
  put_each(rows, f.delta_se_nats, entries, copies, [](C c) { return c.loss_difference.standard_error; });
  put_each(rows, f.accuracy_delta, entries, copies, [](C c) { return c.accuracy_difference.mean; });
  put_each(rows, f.accuracy_delta_se, entries, copies, [](C c) { return c.accuracy_difference.standard_error; });
  set(rows, f.block, spec.copy_block);
  set(rows, f.windows, spec.copy_windows);
  return rows;
}

/// The fields of one way to run free.
struct FreeFields {
  const Field<double>&agreement, &agreement_se, &kl_nats, &kl_se_nats, &first_difference;
};

void put_free_runs(Dataset& rows, const FreeFields& f, const std::vector<PolicyEntry>& entries,
                   FreeRunning PolicyEntry::*run) {
  const auto list = [&](auto FreeRunning::*member) {
    return [ run, member ](const PolicyEntry& e) -> const auto& { return (e.*run).*member; };
  };
  const auto mean = [](const MeanEstimate& m) { return m.mean; };
  const auto error = [](const MeanEstimate& m) { return m.standard_error; };
  put_each(rows, f.agreement, entries, list(&FreeRunning::agreement), mean);
  put_each(rows, f.agreement_se, entries, list(&FreeRunning::agreement), error);
  put_each(rows, f.kl_nats, entries, list(&FreeRunning::kl), mean);
  put_each(rows, f.kl_se_nats, entries, list(&FreeRunning::kl), error);
  put_each(rows, f.first_difference, entries, list(&FreeRunning::first_difference),
           [](Index count) { return double(count); });
}

Dataset free_rows(const std::vector<PolicyEntry>& entries, const DecodeSpec& spec) {
  Dataset rows;
  constexpr const schema::DecodeFree& f = schema::decode_free;
  put_policies(rows, f, entries, &PolicyEntry::free_bits);
  put_free_runs(
      rows,
      {f.greedy_agreement, f.greedy_agreement_se, f.greedy_kl_nats, f.greedy_kl_se_nats, f.greedy_first_difference},
      entries, &PolicyEntry::greedy);
  put_free_runs(rows,
                {f.sampled_agreement, f.sampled_agreement_se, f.sampled_kl_nats, f.sampled_kl_se_nats,
                 f.sampled_first_difference},
                entries, &PolicyEntry::sampled);
  set(rows, f.prompt_tokens, spec.prompt);
  set(rows, f.temperature, spec.temperature);
  return rows;
}

Dataset schedule_rows(const std::vector<ScheduleEntry>& entries, const DecodeSpec& spec) {
  Dataset rows;
  constexpr const schema::DecodeSchedules& f = schema::decode_schedules;
  using E = const ScheduleEntry&;
  put(rows, f.schedule, entries, [](E e) { return e.schedule; });
  put(rows, f.average_bits, entries, [](E e) { return e.average_bits; });
  put(rows, f.first_bits, entries, [](E e) { return e.first_bits; });
  put(rows, f.last_bits, entries, [](E e) { return e.last_bits; });
  put_octaves(rows, f, entries.front().octaves);
  put_rises(rows, f, entries);
  put(rows, f.to_uniform_nats, entries, [](E e) { return e.to_uniform.mean; });
  put(rows, f.to_uniform_se_nats, entries, [](E e) { return e.to_uniform.standard_error; });
  set(rows, f.prompt_tokens, spec.prompt);
  set(rows, f.stored_bits, spec.stored_bits);
  return rows;
}

}  // namespace

std::map<std::string, Dataset> decode_rows(const DecodeTable& table, const DecodeInput& input) {
  std::map<std::string, Dataset> groups;
  const auto add = [&](const auto& group, Dataset rows) {
    set(rows, group.length, input.spec.length);
    groups[group.group] = std::move(rows);
  };
  if (!table.policies.empty()) {
    add(schema::decode, loss_rows(table.policies, input.options.positions));
    add(schema::decode_free, free_rows(table.policies, input.spec));
    if (!table.policies.front().copies.empty()) add(schema::decode_copy, copy_rows(table.policies, input.spec));
  }
  if (!table.schedules.empty()) add(schema::decode_schedules, schedule_rows(table.schedules, input.spec));
  return groups;
}

}  // namespace hone::experiments
