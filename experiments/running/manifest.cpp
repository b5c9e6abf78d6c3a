#include "experiments/running/manifest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/record/manifest.hpp"

namespace hone::experiments {

void describe_run(RunFile& file, const RunSpec& spec, const RunFacts& facts, int threads) {
  Dataset manifest, options;
  for (const auto& [name, value] : manifest_attributes(this_build(), std::uint64_t(spec.seed), threads, facts.inputs))
    manifest.set_attribute(name, value);
  manifest.set_attribute("run_id", spec.id());
  manifest.set_attribute("study", spec.study);
  manifest.set_attribute("model_name", spec.model.name);
  manifest.set_attribute("architecture", std::string(spec.model.kind == "mlp" ? "mlp" : "transformer"));
  manifest.set_attribute("model_params", std::int64_t(facts.quantizable_parameters));
  manifest.set_attribute("total_params", std::int64_t(facts.parameters));
  const bool is_corpus = spec.data.kind == "text" && spec.data.files.empty();
  manifest.set_attribute("corpus", is_corpus ? fmt::format("{}", fmt::join(spec.data.corpora, "+")) : spec.data.name);
  manifest.set_attribute("corpus_sha256", facts.corpus_sha256);
  manifest.set_attribute("data_epochs", facts.epochs);
  manifest.set_attribute("entropy_rate_nats", facts.entropy_rate_nats);
  for (const auto& [name, value] : spec.options()) options.set_attribute(name, value);
  file.groups["manifest"] = std::move(manifest);
  file.groups["options"] = std::move(options);
  file.attributes["title"] = std::string("hone run ") + spec.id();
}

}  // namespace hone::experiments
