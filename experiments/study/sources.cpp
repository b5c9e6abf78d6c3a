#include "experiments/study/sources.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <mutex>

#include "experiments/study/build.hpp"
#include "experiments/study/places.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/utf8.hpp"
#include "sim/data/tokenizer.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// Held-out windows of a text; there are no training batches yet.
Source<TokenBatch> held_out_text(const RunSpec& run, const DataSpec& data,
                                 const std::shared_ptr<const TokenStream>& stream) {
  Source<TokenBatch> source;
  source.held_out = [stream, name = data.name](Index positions, Index count) {
    const Index available = Index(stream->validation.size()), needed = count * (positions + 1);
    if (available < needed)
      throw OptionError(
          fmt::format("data.{}: {} tokens of validation text, {} windows of {} need {}; give a longer corpus, a larger "
                      "validation_fraction, fewer measure.evaluation_windows (decode.windows) or a smaller context "
                      "(decode.length)",
                      name, available, count, positions, needed));
    return evaluation_windows(*stream, positions, count, 1);
  };
  source.evaluation = source.held_out(run.model.context, run.measure.evaluation_windows);
  source.vocabulary = stream->vocabulary;
  source.sha256 = stream->sha256;
  source.entropy_rate_nats = unknown;
  source.keeps = std::shared_ptr<const void>(stream);
  return source;
}

Source<TokenBatch> open_text(const RunSpec& run, const DataSpec& data, CorpusShelf& shelf) {
  auto stream = shelf.tokens(data);
  auto batches = std::make_shared<TextBatches>(*stream, run.train.batch, run.model.context, std::uint64_t(run.seed));
  Source<TokenBatch> source = held_out_text(run, data, stream);
  source.batch = [batches](std::int64_t step) { return batches->batch(step); };
  source.epochs = batches->epoch_of(checkpoint_steps(run).back() - 1);
  return source;
}

/// What a series reads: its training is over, and only branches and calibration need text to train on.
Source<TokenBatch> open_series_text(const RunSpec& run, const DataSpec& data, CorpusShelf& shelf) {
  const Series& series = series_of(run);
  if (series.tokenizer.empty())
    throw OptionError(
        fmt::format("data.{}: tokenizer = \"checkpoint\", and {} holds no tokenizer.json, tokenizer.bin or "
                    "tok512.bin; put the tokenizer of models.{} there",
                    data.name, series.checkpoints.front().place.string(), run.model.name));
  auto stream = shelf.tokens(data, series.tokenizer, series.options.vocabulary);
  Source<TokenBatch> source = held_out_text(run, data, stream);
  if (!stream->train.empty()) {
    auto batches = std::make_shared<TextBatches>(*stream, run.train.batch, run.model.context, std::uint64_t(run.seed));
    source.batch = [batches](std::int64_t step) { return batches->batch(step); };
    return source;
  }
  const bool is_own = data.name == run.data.name;
  const bool has_branch = std::any_of(run.branches.begin(), run.branches.end(), [&](const BranchSpec& b) {
    return b.data == data.name || (is_own && b.data.empty());
  });
  if (has_branch || (is_own && !run.quantize.schemes.empty()))
    throw OptionError(fmt::format("data.{}: has no text to train on, which {} of models.{} need; name some with files",
                                  data.name, has_branch ? "branches" : "quantize.schemes", run.model.name));
  source.batch = [name = data.name](std::int64_t) -> TokenBatch {
    throw OptionError(fmt::format("data.{}: has no text to train on; name some with files", name));
  };
  return source;
}

/// Texts as tokens, each with begin_of_text before it where there is one.
std::vector<std::uint16_t> encoded_files(const std::vector<std::string>& files, const std::string& field,
                                         const TextTokenizer& tokenizer, Sha256& hash) {
  std::vector<std::uint16_t> tokens;
  for (const std::string& file : files) {
    const fs::path path = expand_environment(file, fmt::format("{} = \"{}\"", field, file));
    const std::string text = read_text(path);
    refuse_lfs_pointer(text, path);
    require_utf8(text, path.string());
    hash.update(text.data(), text.size());
    if (const auto begin = tokenizer.begin_of_text()) tokens.push_back(*begin);
    const auto ids = tokenizer.encode(text);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  }
  return tokens;
}

/// Puts the exercises of the data into both sides of its text.
void mix_tasks(TokenStream& stream, const Corpus& corpus, const DataSpec& spec, const Tokenizer& tokenizer) {
  const std::vector<TextTask> tasks = tasks_of(spec);
  const auto mixed = [&](const std::string& text, ExerciseUse use) {
    return with_exercises(text, tasks, spec.task_share, use, std::uint64_t(spec.source_seed));
  };
  const std::string train = mixed(corpus.train(), ExerciseUse::training),
                    validation = mixed(corpus.validation(), ExerciseUse::validation);
  stream.train = tokenizer.encode(train), stream.validation = tokenizer.encode(validation);
  stream.sha256 = sha256(train + validation);
}

/// A synthetic language as a source: the two kinds share their interface.
template <class Language>
Source<TokenBatch> open_language(const RunSpec& run, std::shared_ptr<Language> language, double entropy) {
  const Index batch = run.train.batch, context = run.model.context;
  Source<TokenBatch> source;
  source.batch = [=](std::int64_t step) { return language->batch(step, batch, context); };
  source.held_out = [language](Index positions, Index count) { return language->evaluation_windows(positions, count); };
  source.evaluation = source.held_out(context, run.measure.evaluation_windows);
  source.vocabulary = language->vocabulary();
  source.entropy_rate_nats = entropy;
  return source;
}

}  // namespace

std::vector<TextTask> tasks_of(const DataSpec& spec) {
  std::vector<TextTask> tasks;
  for (const std::string& name : spec.tasks)
    tasks.push_back(text_task_from_name(name, fmt::format("data.{}", spec.name)));
  return tasks;
}

TokenBatch even_subset(const TokenBatch& all, Index wanted) {
  return stacked_windows(wanted, all.positions, [&](Index i) {
    const auto begin = all.tokens.begin() + (i * all.sequences / wanted) * (all.positions + 1);
    return std::vector<std::uint16_t>(begin, begin + all.positions + 1);
  });
}

VectorBatch even_subset(const VectorBatch& all, Index wanted) {
  VectorBatch part{std::min(wanted, all.examples), all.inputs, all.outputs, {}, {}, {}};
  for (Index i = 0; i < part.examples; ++i) {
    const Index e = i * all.examples / part.examples;
    part.x.insert(part.x.end(), all.x.begin() + e * all.inputs, all.x.begin() + (e + 1) * all.inputs);
    if (!all.labels.empty()) part.labels.push_back(all.labels[size_t(e)]);
    if (!all.y.empty())
      part.y.insert(part.y.end(), all.y.begin() + e * all.outputs, all.y.begin() + (e + 1) * all.outputs);
  }
  return part;
}

std::string sha256_of(const TokenBatch& batch) {
  return sha256(batch.tokens.data(), batch.tokens.size() * sizeof(batch.tokens[0]));
}

std::string sha256_of(const VectorBatch& batch) {
  Sha256 hash;
  hash.update(batch.x.data(), batch.x.size() * sizeof(double));
  hash.update(batch.labels.data(), batch.labels.size() * sizeof(std::int32_t));
  hash.update(batch.y.data(), batch.y.size() * sizeof(double));
  return hash.finish();
}

TokenBatch first_training_windows(const Source<TokenBatch>& source, Index count) {
  TokenBatch windows{0, source.evaluation.positions, {}};
  for (std::int64_t step = 0; windows.sequences < count; ++step) {
    const TokenBatch more = source.batch(step);
    windows.tokens.insert(windows.tokens.end(), more.tokens.begin(), more.tokens.end());
    windows.sequences += more.sequences;
  }
  return slice(windows, 0, count);
}

TokenBatch slice(const TokenBatch& all, Index first, Index count) {
  return stacked_windows(count, all.positions, [&](Index i) {
    const auto begin = all.tokens.begin() + (first + i) * (all.positions + 1);
    return std::vector<std::uint16_t>(begin, begin + all.positions + 1);
  });
}

VectorBatch slice(const VectorBatch& all, Index first, Index count) {
  VectorBatch part{count, all.inputs, all.outputs, {}, {}, {}};
  part.x.assign(all.x.begin() + first * all.inputs, all.x.begin() + (first + count) * all.inputs);
  if (!all.labels.empty()) part.labels.assign(all.labels.begin() + first, all.labels.begin() + first + count);
  if (!all.y.empty()) part.y.assign(all.y.begin() + first * all.outputs, all.y.begin() + (first + count) * all.outputs);
  return part;
}

fs::path fetch_corpus(const std::string& name, const fs::path& cache) {
  fs::path folder = cache / name;
  if (fs::exists(folder)) return folder;
  const std::string command = fmt::format("{} {} {} 2>&1", shell_word((scripts_folder() / "fetch_corpus").string()),
                                          shell_word(name), shell_word(cache.string()));
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw IoError(fmt::format("corpus {}: fetch_corpus cannot be started", name));
  std::string last;
  std::array<char, 512> line{};
  while (std::fgets(line.data(), line.size(), pipe)) last = line.data();
  const int status = ::pclose(pipe);
  while (!last.empty() && last.back() == '\n') last.pop_back();
  if (status != 0 || !fs::exists(folder)) throw IoError(fmt::format("corpus {}: {}", name, last));
  return folder;
}

CorpusOptions CorpusShelf::corpus_options(const DataSpec& spec) const {
  CorpusOptions options;
  options.name = spec.files.empty() ? fmt::format("{}", fmt::join(spec.corpora, "+")) : spec.name;
  options.cache = cache_ / "text";
  options.validation_fraction = spec.validation_fraction;
  for (const std::string& file : spec.files)
    options.files.emplace_back(expand_environment(file, fmt::format("data.{}: files = \"{}\"", spec.name, file)));
  if (spec.files.empty())
    for (const std::string& corpus : spec.corpora) options.files.push_back(fetch_corpus(corpus, cache_ / "raw"));
  return options;
}

namespace {

/// Corpora are read one after another, by whichever run comes first.
std::mutex& shelf_lock() {
  static std::mutex one_at_a_time;
  return one_at_a_time;
}

}  // namespace

std::shared_ptr<const TokenStream> CorpusShelf::tokens(const DataSpec& spec) {
  const std::lock_guard lock(shelf_lock());
  if (const auto found = shelf_.find(spec.name); found != shelf_.end()) return found->second;
  CorpusOptions options = corpus_options(spec);
  if (spec.tokenizer != "bytes" && spec.tokenizer != "raw_bytes" && spec.tokenizer != "bpe")
    throw OptionError(
        fmt::format("data.{}: tokenizer = \"{}\" (expected bytes, raw_bytes or bpe)", spec.name, spec.tokenizer));
  options.keeps_bytes = spec.tokenizer == "raw_bytes";
  const Corpus corpus(options);
  const Tokenizer tokenizer =
      spec.tokenizer == "bpe" ? Tokenizer::train_bpe(corpus.train(), spec.vocabulary) : Tokenizer::bytes();
  TokenStream stream = tokenize(corpus, tokenizer);
  if (!spec.tasks.empty()) mix_tasks(stream, corpus, spec, tokenizer);
  return shelf_[spec.name] = std::make_shared<TokenStream>(std::move(stream));
}

std::shared_ptr<const TokenStream> CorpusShelf::tokens(const DataSpec& spec, const fs::path& tokenizer_file,
                                                       Index vocabulary) {
  const std::lock_guard lock(shelf_lock());
  const auto tokenizer = import_tokenizer(tokenizer_file);
  const std::string key = fmt::format("{}\n{}\n{}", spec.name, tokenizer->name(), vocabulary);
  if (const auto found = shelf_.find(key); found != shelf_.end()) return found->second;
  TokenStream stream;
  if (spec.held_out.empty()) {
    stream = tokenize(Corpus(corpus_options(spec)), *tokenizer);
  } else {
    Sha256 hash;
    stream.validation = encoded_files(spec.held_out, fmt::format("data.{}: held_out", spec.name), *tokenizer, hash);
    stream.train = encoded_files(spec.files, fmt::format("data.{}: files", spec.name), *tokenizer, hash);
    stream.name = spec.name, stream.sha256 = hash.finish(), stream.tokenizer = tokenizer->name();
  }
  stream.vocabulary = vocabulary;
  for (const auto* side : {&stream.train, &stream.validation})
    for (const std::uint16_t id : *side)
      if (id >= vocabulary)
        throw OptionError(
            fmt::format("{}: gives the token {} of data.{}, the checkpoints have vocab_size = {}; put their "
                        "own tokenizer there",
                        tokenizer_file.string(), id, spec.name, vocabulary));
  return shelf_[key] = std::make_shared<TokenStream>(std::move(stream));
}

Source<TokenBatch> open_tokens(const RunSpec& run, const DataSpec& d, CorpusShelf& shelf) {
  Source<TokenBatch> source;
  if (is_series(run.model)) {
    source = open_series_text(run, d, shelf);
  } else if (d.kind == "text") {
    source = open_text(run, d, shelf);
  } else if (d.kind == "markov") {
    const auto language =
        std::make_shared<MarkovSource>(MarkovOptions{d.vocabulary, int(d.order), d.zipf_exponent, d.coupling,
                                                     std::uint64_t(d.source_seed), std::uint64_t(run.seed)});
    source = open_language(run, language, language->entropy_rate_nats());
  } else if (d.kind == "hidden_markov") {
    const auto language = std::make_shared<HiddenMarkovSource>(
        HiddenMarkovOptions{d.states, d.vocabulary, d.zipf_exponent, d.coupling, Emission::ambiguous,
                            std::uint64_t(d.source_seed), std::uint64_t(run.seed)});
    source = open_language(run, language, language->estimate_entropy_rate(32, 4096).nats);
  } else {
    const std::array<const char*, 3> known = {"text", "markov", "hidden_markov"};
    throw OptionError(fmt::format("data.{}: kind = \"{}\" is unknown; did you mean \"{}\"?", d.name, d.kind,
                                  nearest_name(d.kind, known)));
  }
  source.curvature = even_subset(source.evaluation, run.measure.curvature_windows);
  return source;
}

Source<VectorBatch> open_vectors(const RunSpec& run, CorpusShelf& shelf) {
  const DataSpec& d = run.data;
  const Index batch = run.train.batch;
  Source<VectorBatch> source;
  source.entropy_rate_nats = unknown;
  if (d.kind == "teacher") {
    const auto task =
        std::make_shared<TeacherTask>(TeacherOptions{d.inputs, d.hidden, d.outputs, d.spectrum_exponent, d.noise_sd,
                                                     std::uint64_t(d.source_seed), std::uint64_t(run.seed)});
    source.batch = [task, batch](std::int64_t step) { return task->batch(step, batch); };
    source.evaluation = task->validation(run.measure.evaluation_windows);
    source.inputs = d.inputs, source.outputs = d.outputs;
  } else {
    TableOptions options;
    options.file =
        d.files.empty() ? fetch_corpus("digits", shelf.cache() / "raw") / "digits.csv.gz" : fs::path(d.files.front());
    options.validation_fraction = std::max(d.validation_fraction, 0.2);
    options.seed = std::uint64_t(run.seed);
    const auto table = std::make_shared<VectorTable>(options);
    source.batch = [table, batch](std::int64_t step) { return table->batch(step, batch); };
    source.evaluation = even_subset(table->validation(), run.measure.evaluation_windows);
    source.inputs = table->train().inputs, source.outputs = table->train().outputs;
    source.sha256 = table->sha256();
    source.epochs = table->epoch_of(checkpoint_steps(run).back() - 1, batch);
  }
  source.curvature = even_subset(source.evaluation, run.measure.curvature_windows);
  return source;
}

}  // namespace hone::experiments
