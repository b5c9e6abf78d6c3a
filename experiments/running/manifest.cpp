#include "experiments/running/manifest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/record/manifest.hpp"
#include "sim/record/schema.hpp"

namespace hone::experiments {

void describe_run(RunFile& file, const RunSpec& spec, const RunFacts& facts, int threads) {
  constexpr const schema::Manifest& f = schema::manifest;
  Dataset manifest = manifest_group(this_build(), std::uint64_t(spec.seed), threads, facts.inputs), options;
  set(manifest, f.run_id, spec.id());
  set(manifest, f.study, spec.study);
  set(manifest, f.model_name, spec.model.name);
  set(manifest, f.architecture, spec.model.kind == "mlp" ? "mlp" : "transformer");
  set(manifest, f.model_params, facts.quantizable_parameters);
  set(manifest, f.total_params, facts.parameters);
  const bool is_corpus = spec.data.kind == "text" && spec.data.files.empty();
  set(manifest, f.corpus, is_corpus ? fmt::format("{}", fmt::join(spec.data.corpora, "+")) : spec.data.name);
  set(manifest, f.corpus_sha256, facts.corpus_sha256);
  set(manifest, f.data_epochs, facts.epochs);
  set(manifest, f.entropy_rate_nats, facts.entropy_rate_nats);
  for (const auto& [name, value] : spec.options()) options.set_attribute(name, value);
  file.groups[f.group] = std::move(manifest);
  file.groups[schema::options.group] = std::move(options);
  file.attributes["title"] = std::string("hone run ") + spec.id();
}

}  // namespace hone::experiments
